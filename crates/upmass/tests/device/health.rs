//! Health checks: what passes is confirmed, what fails falls back with a reason.

use std::fs;
use std::time::{Duration, Instant};

use crate::machine::Machine;

const DIRECTORY: &str = "etc/upmass/health.d";

fn on_trial() -> Machine {
    let machine = Machine::new(&["1", "2"]);
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    machine
}

#[test]
fn checks_run_in_the_order_of_names_and_then_the_release_is_confirmed() {
    let machine = on_trial();
    let log = machine.path("log");
    for name in ["20-b", "10-a", "30-c"] {
        machine
            .script(&format!("{DIRECTORY}/{name}"), &format!("echo {name} >> {}", log.display()));
    }
    // What is not executable, and what is hidden, is no check.
    fs::write(machine.path(&format!("{DIRECTORY}/README")), "exit 1").unwrap();
    machine.script(&format!("{DIRECTORY}/.20-b.swp"), "exit 1");
    let said: serde_json::Value =
        serde_json::from_str(&machine.succeed(&["health", "--json"])).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "10-a\n20-b\n30-c\n");
    assert_eq!(said["checks"], serde_json::json!(["10-a", "20-b", "30-c"]));
    assert_eq!((&said["trial"], &said["confirmed"]), (&true.into(), &true.into()));
    machine.assert_state("2", "settled", "boot-2", "boot-2");
    assert_eq!(machine.restarts(), 0);
    // Later it is a look at the device, and nothing more.
    let said: serde_json::Value =
        serde_json::from_str(&machine.succeed(&["health", "--json"])).unwrap();
    assert_eq!((&said["trial"], &said["confirmed"]), (&false.into(), &false.into()));
    machine.script(&format!("{DIRECTORY}/40-d"), "exit 7");
    assert_eq!(machine.fail(1, &["health"]), "check 40-d failed: exit status: 7");
    assert_eq!(machine.restarts(), 0);
    machine.assert_state("2", "settled", "boot-2", "boot-2");
}

#[test]
fn without_checks_a_release_that_came_so_far_is_healthy() {
    let machine = on_trial();
    machine.succeed(&["health"]);
    machine.assert_state("2", "settled", "boot-2", "boot-2");
}

#[test]
fn a_check_that_fails_stores_its_reason_and_restarts_into_the_old_release() {
    let machine = on_trial();
    machine.script(&format!("{DIRECTORY}/10-network"), "echo no network; exit 1");
    machine.script(&format!("{DIRECTORY}/20-late"), "touch \"$0.ran\"");
    let error = machine.fail(1, &["health"]);
    assert_eq!(error, "check 10-network failed: exit status: 1");
    assert_eq!(machine.restarts(), 1);
    assert!(!machine.path(&format!("{DIRECTORY}/20-late.ran")).exists());
    machine.start();
    machine.assert_state("1", "settled", "boot-1", "boot-1");
    let attempt = &machine.status()["last_attempt"];
    assert_eq!(attempt["state"], "failed");
    assert_eq!(attempt["reason"], "check 10-network failed: exit status: 1");
    // The reason stays until the next attempt.
    machine.fail(5, &["confirm"]);
    assert_eq!(machine.status()["last_attempt"]["reason"], attempt["reason"]);
}

#[test]
fn a_check_that_hangs_is_killed_with_all_that_it_started() {
    let machine = on_trial();
    let child = machine.path("child");
    let text = format!("sleep 600 & echo $! > {}; wait", child.display());
    machine.script(&format!("{DIRECTORY}/10-hangs"), &text);
    let begun = Instant::now();
    let error = machine.fail(1, &["health", "--deadline", "1"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(error, "check 10-hangs was not done after 1 seconds in all");
    assert_eq!(machine.restarts(), 1);
    let pid = fs::read_to_string(child).unwrap();
    let status = format!("/proc/{}/status", pid.trim());
    let is_gone =
        || fs::read_to_string(&status).map_or(true, |status| status.contains("State:\tZ"));
    let end = Instant::now() + Duration::from_secs(10);
    while !is_gone() {
        assert!(Instant::now() < end, "the child still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_check_that_does_not_start_is_one_that_failed() {
    let machine = on_trial();
    let check = machine.path(&format!("{DIRECTORY}/10-broken"));
    machine.script(&format!("{DIRECTORY}/10-broken"), "");
    fs::write(&check, "#!/no/such/program\n").unwrap();
    let error = machine.fail(1, &["health"]);
    assert!(error.starts_with("check 10-broken does not start: "), "{error}");
    machine.start();
    machine.assert_state("1", "settled", "boot-1", "boot-1");
}

#[test]
fn a_trial_that_ended_without_a_word_is_told_as_failed_before_anything_is_written() {
    let machine = on_trial();
    // A reset, before anything on the device ran.
    machine.start();
    let attempt = &machine.status()["last_attempt"];
    assert_eq!(attempt["state"], "failed");
    assert_eq!(attempt["reason"], "it did not start, or was reset before it could say so");
}

#[test]
fn a_device_checks_its_own_store() {
    let machine = on_trial();
    let said: serde_json::Value =
        serde_json::from_str(&machine.succeed(&["check", "--json"])).unwrap();
    assert_eq!(said["releases"], 2);
    assert_eq!(said["damages"], serde_json::json!([]));
}
