//! The two-peak model in the variance-preserving scheme

fn main() -> std::process::ExitCode {
    examples::run("two_peak_vp", "The two-peak model in the variance-preserving scheme", |args| {
        examples::check_writable(args.out())?;
        Ok(())
    })
}
