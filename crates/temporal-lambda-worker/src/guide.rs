//! The guide, in chapters.

#[doc = include_str!("docs/coming_from.md")]
pub mod coming_from {}
#[doc = include_str!("docs/configuration.md")]
pub mod configuration {}
#[doc = include_str!("docs/deploying.md")]
pub mod deploying {}
#[doc = include_str!("docs/embedding.md")]
pub mod embedding {}
#[doc = include_str!("docs/idle_exit.md")]
pub mod idle_exit {}
#[doc = include_str!("docs/lifecycle.md")]
pub mod lifecycle {}
#[doc = include_str!("docs/observability.md")]
pub mod observability {}
#[doc = include_str!("docs/payloads.md")]
pub mod payloads {}
#[doc = include_str!("docs/security.md")]
pub mod security {}
#[doc = include_str!("docs/testing.md")]
pub mod testing {}
#[doc = include_str!("docs/troubleshooting.md")]
pub mod troubleshooting {}
#[doc = include_str!("docs/versions.md")]
pub mod versions {}
