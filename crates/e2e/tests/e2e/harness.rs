//! What the tests stand on: commands with deadlines, a namespace for each test, a release in it,
//! pods beside it.

mod admin;
mod files;
mod forward;
mod metrics;
mod pods;
mod release;
mod run;
mod settings;
mod space;

pub use admin::Admin;
pub use files::{b3sum, noise_file, piped_b3sum};
pub use forward::Forward;
pub use metrics::Usage;
pub use pods::{Toolbox, client_label, restricted, restricted_container};
pub use release::{PATIENCE, Pod, Release};
pub use run::{eventually, run};
pub use settings::{figure, settings};
pub use space::Space;
