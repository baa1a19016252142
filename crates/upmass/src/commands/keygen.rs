//! `upmass keygen`

use crate::arguments::Keygen;
use crate::{Outcome, keys};

pub fn run(arguments: &Keygen) -> Outcome {
    let password = arguments.password_file.as_deref().map(keys::password).transpose()?;
    let (public, secret_path, public_path) =
        keys::generate(&arguments.output, password.as_deref())?;
    keys::explain(&public, &secret_path, &public_path)
}
