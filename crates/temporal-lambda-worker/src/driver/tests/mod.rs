//! Tests of the driver under paused time, with a scripted worker.
