"""Every folder is a package, so that what its tests share (pytest's scope `package`) ends with them."""
