"""The store of encoded streams, in a folder or an object store."""
