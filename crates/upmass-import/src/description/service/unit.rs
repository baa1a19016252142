//! Units of systemd: their lines, and what all services have in common.

use super::plan::Plan;
use super::{Network, Restart};

/// A unit file while it is written.
#[derive(Default)]
pub(super) struct Unit(String);

impl Unit {
    pub(super) fn section(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(&format!("[{name}]\n"));
    }

    /// A setting whose value means itself.
    pub(super) fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("{key}={value}\n"));
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// The section `[Unit]`, and what of `[Service]` does not depend on the way a service is run.
pub(super) fn begin(plan: &Plan<'_>) -> Unit {
    let run = plan.run;
    let mut unit = Unit::default();
    unit.section("Unit");
    unit.set("Description", format_args!("service {} of the release", plan.name));
    unit.set("After", "local-fs.target systemd-tmpfiles-setup.service network.target");
    for name in &run.after {
        unit.set("Requires", format_args!("{name}.service"));
        unit.set("After", format_args!("{name}.service"));
    }
    if !plan.volumes.is_empty() {
        let paths: Vec<&str> = plan.volumes.iter().map(|volume| volume.host.as_str()).collect();
        unit.set("RequiresMountsFor", paths.join(" "));
    }
    unit.section("Service");
    unit.set("Type", "exec");
    unit.set("Restart", run.restart.word());
    if run.restart != Restart::No {
        unit.set("RestartSec", "1s");
    }
    unit.set("KillMode", "mixed");
    unit.set("KillSignal", &plan.stop_signal);
    unit.set("SyslogIdentifier", plan.name);
    if run.network == Network::None {
        unit.set("PrivateNetwork", "yes");
    }
    if let Some(memory) = run.memory {
        unit.set("MemoryMax", memory);
        unit.set("MemorySwapMax", 0);
    }
    if let Some(percent) = run.cpus {
        unit.set("CPUQuota", format_args!("{percent}%"));
    }
    unit
}

/// Words of a command line, which systemd reads as these words: systemd.service(5), "Command Lines", and
/// systemd.syntax(7), "Quoting".
pub(super) fn command_line(words: &[String]) -> String {
    words.iter().map(|word| quoted(&word.replace('$', "$$"))).collect::<Vec<_>>().join(" ")
}

/// A text as one word of a setting.
pub(super) fn quoted(text: &str) -> String {
    let mut word = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => word.push_str("\\\""),
            '\\' => word.push_str("\\\\"),
            '%' => word.push_str("%%"),
            '\n' => word.push_str("\\n"),
            '\t' => word.push_str("\\t"),
            c if c.is_control() => word.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => word.push(c),
        }
    }
    word.push('"');
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command_line_mean_themselves() {
        let words = ["/bin/app", "a b", "50%", "$HOME", "say \"x\"\\", "two\nlines", "\u{7}"];
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(
            command_line(&words),
            r#""/bin/app" "a b" "50%%" "$$HOME" "say \"x\"\\" "two\nlines" "\u0007""#
        );
    }
}
