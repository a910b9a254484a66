//! t
pub(crate) fn make_key(_: &crate::home::Home) -> crate::error::Result<String> { Ok("k".into()) }
pub(crate) async fn run(_: crate::home::Home, _: crate::cli::Output, _: bool) -> crate::error::Result<()> { Ok(()) }
