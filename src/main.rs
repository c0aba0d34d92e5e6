//! The `paybell` program: arguments -> configuration -> tracing -> app -> exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use paybell::app;
use paybell::cli::{Cli, Command};
use paybell::config::report::{check_report, warning_lines};
use paybell::config::{BindRefused, Config, Environment, Loaded};
use paybell::listen;
use paybell::listen::options::{Options, UsageError};
use paybell::logging::{self, FilterError, LogFilter, LogSettings};
use paybell::server::descriptors::raise_limit;
use paybell::source::http::install_crypto_provider;
use paybell::store::describe;

/// The exit code of wrong usage and of a wrong configuration.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            let text = format!("paybell: {}\n", describe(error.as_ref()));
            say(&mut io::stderr(), &text);
            match error.is::<BindRefused>() {
                true => ExitCode::from(WRONG_USAGE),
                false => ExitCode::FAILURE,
            }
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let environment = Environment::of_process();
    let listening = match listening(&command) {
        Ok(options) => options,
        Err(wrong) => {
            let text = format!("paybell: {}\n", describe(&wrong));
            say(&mut io::stderr(), &text);
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    let loaded = match &command {
        Command::Serve(args) | Command::CheckConfig(args) => {
            Config::load(args.config.as_deref(), &environment)
        }
        Command::Keys(args) => Config::load(args.command.config().config.as_deref(), &environment),
        Command::Demo(_) | Command::Sandbox(_) | Command::Listen(_) => {
            Config::of_environment(&environment)
        }
    };
    if matches!(command, Command::CheckConfig(_)) || loaded.is_err() {
        let report = check_report(&loaded);
        say(&mut io::stderr(), &report.stderr);
        let told = say(&mut io::stdout(), &report.stdout);
        return Ok(if told {
            ExitCode::from(report.exit_code)
        } else {
            ExitCode::FAILURE
        });
    }
    let Loaded {
        config, warnings, ..
    } = loaded?;
    if matches!(command, Command::Serve(_)) {
        say(&mut io::stderr(), &warning_lines(&warnings));
    }
    logging::start(&log_settings(&command, &config)?)?;
    raise_limit();
    install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match (command, listening) {
            (_, Some(options)) => listen::run(options).await,
            (Command::Demo(args), _) => app::demo(args, config).await,
            (Command::Sandbox(args), _) => app::sandbox(args).await,
            (Command::Keys(args), _) => app::keys::run(args.command, config).await,
            _ => app::serve(config).await,
        }
    })?;
    // Whatever still runs has had its drain time.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// A command on keys is one line of result; what a hub would tell of it is not for the terminal.
fn log_settings(command: &Command, config: &Config) -> Result<LogSettings, FilterError> {
    let mut settings = config.log.clone();
    if matches!(command, Command::Keys(_)) {
        settings.filter = LogFilter::parse("warn")?;
    }
    Ok(settings)
}

/// What `listen` is asked for, checked; nothing for other commands.
fn listening(command: &Command) -> Result<Option<Options>, UsageError> {
    match command {
        Command::Listen(args) => Options::of(args).map(Some),
        _ => Ok(None),
    }
}

/// Writes a text, and says whether it arrived: nobody may be reading any more, or the disk be full.
fn say(to: &mut impl Write, text: &str) -> bool {
    to.write_all(text.as_bytes())
        .and_then(|()| to.flush())
        .is_ok()
}
