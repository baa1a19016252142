//! Variables in memory that lose power.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{VariableError, Variables, Vendor};

type Contents = BTreeMap<(Vendor, String), Vec<u8>>;

/// Variables in memory. Each write and each removal is a step, numbered from 0.
#[derive(Default)]
pub struct SimVariables(Mutex<State>);

#[derive(Clone, Default)]
struct State {
    now: Contents,
    /// What was there before each step, and without the variable that it was about.
    past: Vec<[Contents; 2]>,
    cut_at: Option<usize>,
}

impl SimVariables {
    /// As a machine that was started by systemd-boot, which is able to do what is asked of it.
    pub fn of_systemd_boot() -> Self {
        let this = Self::default();
        let features = 0b1_1111u64.to_le_bytes().to_vec();
        this.state().now.insert((Vendor::Loader, "LoaderFeatures".to_owned()), features);
        this
    }

    /// Other variables with the same content, with the power on and no past.
    pub fn copy(&self) -> Self {
        let now = self.state().now.clone();
        Self(Mutex::new(State { now, ..State::default() }))
    }

    /// How many steps were taken.
    pub fn steps(&self) -> usize {
        self.state().past.len()
    }

    /// Lets the power fail at a step: it and all after it fail, and change nothing.
    pub fn cut_power_at(&self, step: usize) {
        self.state().cut_at = Some(step);
    }

    /// All that may be found when the power was cut after `steps` steps, or in the next one.
    pub fn crash_states(&self, steps: usize) -> Vec<Self> {
        let state = self.state();
        let states = match state.past.get(steps) {
            Some([before, without]) => vec![before.clone(), without.clone()],
            None => vec![state.now.clone()],
        };
        states.into_iter().map(|now| Self(Mutex::new(State { now, ..State::default() }))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(
        &self,
        action: &'static str,
        (vendor, name): (Vendor, &str),
        change: impl FnOnce(&mut Contents),
    ) -> Result<(), VariableError> {
        let mut state = self.state();
        if state.cut_at.is_some_and(|cut| state.past.len() >= cut) {
            let (name, source) = (format!("{name}-{vendor}"), Errno::IO.into());
            return Err(VariableError::Io { action, name, source });
        }
        let mut without = state.now.clone();
        without.remove(&(vendor, name.to_owned()));
        let before = state.now.clone();
        state.past.push([before, without]);
        change(&mut state.now);
        Ok(())
    }
}

impl Variables for SimVariables {
    fn read(&self, vendor: Vendor, name: &str) -> Result<Option<Vec<u8>>, VariableError> {
        Ok(self.state().now.get(&(vendor, name.to_owned())).cloned())
    }

    fn write(&self, vendor: Vendor, name: &str, content: &[u8]) -> Result<(), VariableError> {
        self.change("write", (vendor, name), |now| {
            now.insert((vendor, name.to_owned()), content.to_vec());
        })
    }

    fn remove(&self, vendor: Vendor, name: &str) -> Result<(), VariableError> {
        if self.read(vendor, name)?.is_none() {
            return Ok(());
        }
        self.change("remove", (vendor, name), |now| drop(now.remove(&(vendor, name.to_owned()))))
    }

    fn names(&self, vendor: Vendor) -> Result<Vec<String>, VariableError> {
        let state = self.state();
        let names = state.now.keys().filter(|(of, _)| *of == vendor);
        Ok(names.map(|(_, name)| name.clone()).collect())
    }

    fn check_writable(&self) -> Result<(), VariableError> {
        Ok(())
    }
}
