//! Bytes on the wire of an HTTP push.
