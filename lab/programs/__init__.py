"""What runs in some of the lab's pods: small programs that use the roadmap's services as its applications would."""
