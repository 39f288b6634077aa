"""Locks of packages, and the system libraries that packages need. No Pulumi; a module that uses the network says so."""
