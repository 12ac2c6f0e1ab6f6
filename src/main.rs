//! The program: arguments in, exit code out.

use std::process::ExitCode;

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            metaconsole::cli::complain(&error);
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(metaconsole::cli::run(std::env::args_os(), &environment));
    // The answer is out. A name that is still being looked up must not hold the program.
    runtime.shutdown_background();
    exit.into()
}
