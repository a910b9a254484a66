//! t
pub(crate) async fn run(_: crate::cli::Output, _: &crate::cli::Demo) -> crate::error::Result<()> { Ok(()) }
