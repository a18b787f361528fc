"""What goes into the sandbox. Of what comes out only `wire.decode` believes anything."""
