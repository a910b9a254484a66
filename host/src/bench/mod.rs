//! t
pub(crate) async fn run(_: crate::cli::Output, _: &crate::cli::Bench) -> crate::error::Result<()> { Ok(()) }
pub(crate) async fn worker(_: bool) -> crate::error::Result<std::process::ExitCode> { Ok(std::process::ExitCode::SUCCESS) }
