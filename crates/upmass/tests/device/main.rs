//! `apply`, `status`, `reboot`, `confirm`, `rollback`, `health` and `collect` on a device. They need root and loop devices,
//! as a device has them.

#[path = "../common/mod.rs"]
mod common;
mod health;
mod machine;
mod refused;
mod switching;
mod systems;
