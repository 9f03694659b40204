//! One shard per core: listener, connection task, flusher, mesh, timers. The only crate that knows glommio and io_uring.
