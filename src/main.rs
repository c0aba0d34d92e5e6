//! The `paybell` program: arguments -> configuration -> tracing -> app -> exit code.

use std::process::ExitCode;

use clap::Parser;
use paybell::app;
use paybell::cli::{Cli, Command, ConfigArgs};
use paybell::config::report::{EXIT_MISCONFIGURED, check_report, warning_lines};
use paybell::config::{Config, Environment, Loaded};
use paybell::logging::{self, LogSettings};
use paybell::source::http::install_crypto_provider;
use paybell::store::describe;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("paybell: {}", describe(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let environment = Environment::of_process();
    match command {
        Command::CheckConfig(args) => {
            let report = check_report(&load(&args, &environment));
            print!("{}", report.stdout);
            eprint!("{}", report.stderr);
            Ok(ExitCode::from(report.exit_code))
        }
        Command::Serve(args) => {
            let loaded = match load(&args, &environment) {
                Ok(loaded) => loaded,
                Err(errors) => {
                    eprint!("{errors}\n{}", warning_lines(&errors.warnings));
                    return Ok(ExitCode::from(EXIT_MISCONFIGURED));
                }
            };
            eprint!("{}", warning_lines(&loaded.warnings));
            start(&loaded.config.log, app::serve(loaded.config.clone()))
        }
        Command::Demo(args) => start(&log_settings(&environment)?, app::demo(args)),
        Command::Sandbox(args) => start(&log_settings(&environment)?, app::sandbox(args)),
    }
}
