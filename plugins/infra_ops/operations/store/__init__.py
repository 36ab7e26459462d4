"""The secret store itself: deployed, given its identities, copied and restored for practice, and made to forget."""
