//! stub
#[derive(Debug, clap::Args)]
pub struct Args {}
pub async fn run(_: Args, _: &crate::config::Config, _: bool) -> anyhow::Result<()> {
    Ok(())
}
