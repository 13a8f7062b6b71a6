"""What runs codecs in Craftbundle. Nothing to import: the program and the module ``craftbundle`` find the plugin here."""
