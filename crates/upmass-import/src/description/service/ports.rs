//! Ports of the device that lead into the network of a service, by systemd-socket-proxyd(8).

use super::Port;
use super::unit::Unit;

/// The name of the units of a port, without what they end with.
pub(super) fn name(service: &str, port: &Port) -> String {
    format!("{service}-port-{}", port.host)
}

/// What listens.
pub(super) fn socket(service: &str, port: &Port) -> Vec<u8> {
    let mut unit = Unit::default();
    unit.section("Unit");
    unit.set("Description", format_args!("port {} of service {service}", port.host));
    unit.section("Socket");
    unit.set("ListenStream", &port.listen);
    unit.finish()
}

/// What carries connections into the service.
pub(super) fn proxy(service: &str, port: &Port) -> Vec<u8> {
    let mut unit = Unit::default();
    unit.section("Unit");
    unit.set("Description", format_args!("port {} of service {service}", port.host));
    unit.set("Requires", format_args!("{service}.service {}.socket", name(service, port)));
    unit.set("After", format_args!("{service}.service {}.socket", name(service, port)));
    unit.set("JoinsNamespaceOf", format_args!("{service}.service"));
    unit.section("Service");
    unit.set(
        "ExecStart",
        format_args!("/lib/systemd/systemd-socket-proxyd 127.0.0.1:{}", port.inside),
    );
    unit.set("PrivateNetwork", "yes");
    unit.set("PrivateTmp", "yes");
    unit.finish()
}
