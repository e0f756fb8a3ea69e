//! The part of `--help` below the options of each command: the columns of its table, and examples.

/// The program itself.
pub(super) const PROGRAM: &str = "\
Examples:
  salesbot-bridge config check
  salesbot-bridge serve --config bridge.toml
  salesbot-bridge doctor";

pub(super) const SERVE: &str = "\
Examples:
  salesbot-bridge serve
  salesbot-bridge serve --config /etc/salesbot-bridge/bridge.toml -v";

pub(super) const INIT: &str = "\
Asks for each answer that no option gives, if stdin and stderr are terminals.
Otherwise every answer without a default needs its option. An existing
bridge.toml gives the defaults. Changes no existing file without asking, or
--force; never replaces a secret that it made earlier.

Examples:
  salesbot-bridge init
  salesbot-bridge init --dir bots --kind http --handler-url http://127.0.0.1:8000/
  salesbot-bridge init --public-url https://bots.example.com --account https://example.kommo.com \\
    --client-uuid 9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11 --client-secret-file secret.txt \\
    --access-token-file -";

#[cfg(feature = "tools")]
pub(super) const DEMO: &str = "\
Examples:
  salesbot-bridge demo
  salesbot-bridge demo --requests 200 --json
  salesbot-bridge demo --keep -v";

#[cfg(feature = "tools")]
pub(super) const DEV: &str = "\
A bridge and a simulated Kommo run in a temporary folder, which the end deletes.
`dev` reads no configuration file. Requests are signed as in production, and an
answer that comes later (202) may be posted to the callback URL of the request.

  hi                        send {\"message\": \"hi\"}
  {\"message\": \"hi\", ...}    send this JSON object
  /replay                   send the last request again, as a new bot
  /data                     show the last request in full, and what the bot got
  /lead N                   talk about lead N: another conversation
  /quit                     end, like Ctrl-D and Ctrl-C

With --message, --file or a pipe, the exit status is 0 if every bot got the
answer of the handler, and 1 if one got the fallback or none.

Examples:
  salesbot-bridge dev
  salesbot-bridge dev --forward http://127.0.0.1:8000/
  salesbot-bridge dev --forward localhost:8000 --message hi --answer-within 5s --json";

#[cfg(feature = "tools")]
pub(super) const SIMULATE: &str = "\
Examples:
  salesbot-bridge simulate > bridge.toml
  salesbot-bridge simulate --long-lived --language ru --rate-limit 7 --latency-ms 150
  salesbot-bridge simulate --replay 018bcfe5-687b --bridge http://127.0.0.1:9000 > replay.toml";

#[cfg(feature = "tools")]
pub(super) const BENCH: &str = "\
Examples:
  salesbot-bridge bench
  salesbot-bridge bench --requests 100000 --rate 2000 --json
  salesbot-bridge bench --config bridge.toml --target http://127.0.0.1:8080";

pub(super) const CONFIG: &str = "\
Examples:
  salesbot-bridge config check
  salesbot-bridge config show --json";

pub(super) const CONFIG_CHECK: &str = "\
Examples:
  salesbot-bridge config check
  salesbot-bridge config check --config /etc/salesbot-bridge/bridge.toml";

pub(super) const CONFIG_SHOW: &str = "\
Examples:
  salesbot-bridge config show
  salesbot-bridge config show --json --config bridge.toml";

pub(super) const CONFIG_SCHEMA: &str = "\
Example:
  salesbot-bridge config schema > bridge.schema.json";

pub(super) const JOBS: &str = "\
Examples:
  salesbot-bridge jobs list --state dead
  salesbot-bridge jobs show 018bcfe5-687b
  salesbot-bridge jobs retry --dead";

pub(super) const JOBS_LIST: &str = "\
Columns:
  ID          The job's id; a terminal shows a prefix that no other id has
  STATE       queued      waits for a worker
              running     its handler runs
              awaiting_callback  its handler accepted it, and will call back
              delivering  its answer is being sent, or waits to be sent
              delivered   Kommo accepted the answer
              gone        no bot waits for the answer any longer
              dead        the bridge gave up; `jobs retry` sends the answer again
              cancelled   an operator cancelled it
  HANDLER     The handler that the request named
  ABOUT       The lead, contact or customer of the bot
  AGE         Time since the bridge received the request
  ACCOUNT     The Kommo account, by number
  TRIES       Attempts of the handler + attempts to deliver
  OUTCOME     The bot's answer: the handler's, or the fallback with the reason
  LAST ERROR  The most recent error; `earlier:` if the job was delivered after it
  A narrow terminal omits OUTCOME, TRIES and ACCOUNT, and shortens texts.

Filter: words that a job has to match. A comma means \"or\", a hyphen in front means \"not\".
  state:dead,gone  handler:NAME  outcome:fallback  status:429  attempts:>2  error:TEXT
  account:NUMBER, HOST or NAME  lead:N  contact:N  customer:N  bot:N  conversation:ACCOUNT:lead:N
  since:2h  until:2026-11-30  id:ID  trace:ID  return_url:URL
  waiting:account,worker,callback,turn,retry,…  is:late,unfinished,finished,superseded,joined
  Other words are searched as text, as the number of a lead or account, and as the start of an id.

Examples:
  salesbot-bridge jobs list state:dead since:2h --limit 10
  salesbot-bridge jobs list https://example.kommo.com/leads/detail/777002
  salesbot-bridge jobs list 'waiting:account,retry -error:\"timed out\"' --json";

pub(super) const JOBS_SHOW: &str = "\
Examples:
  salesbot-bridge jobs show 018bcfe5-687b
  salesbot-bridge jobs show 018bcfe5-687b-7000-8000-000000000001 --json";

pub(super) const JOBS_EXPLAIN: &str = "\
If a bridge runs, the command asks it. The bridge also knows free permits,
unreachable handlers, and the pace of accounts.

Examples:
  salesbot-bridge jobs explain 018bcfe5-687b
  salesbot-bridge jobs explain 018bcfe5-687b-7000-8000-000000000001 --json";

pub(super) const JOBS_ERRORS: &str = "\
Columns:
  GROUP     The number of the group
  ERRORS    The number of errors since the first one
  LAST DAY  Errors by hour, the current hour last
  LAST      Time since the last error
  WHERE     The handler whose attempts failed, or `delivery`
  JOB       The job with the last error
  ERROR     The common text: N is a number, ID an id, and … a quoted value

Examples:
  salesbot-bridge jobs errors
  salesbot-bridge jobs errors 7 --json";

pub(super) const JOBS_RETRY: &str = "\
Examples:
  salesbot-bridge jobs retry 018bcfe5-687b 018bcfe5-6902 --send fallback
  salesbot-bridge jobs retry --error-group 7
  salesbot-bridge jobs retry --filter 'state:dead handler:greet since:2h'";

pub(super) const JOBS_COMPLETE: &str = "\
Examples:
  salesbot-bridge jobs complete 018bcfe5-687b --data '{\"status\": \"success\", \"reply\": \"Hi Ann\"}'
  salesbot-bridge jobs complete 018bcfe5-687b --data '{}' --json";

pub(super) const JOBS_CANCEL: &str = "\
Examples:
  salesbot-bridge jobs cancel 018bcfe5-687b
  salesbot-bridge jobs cancel 018bcfe5-687b 018bcfe5-6902 --json
  salesbot-bridge jobs cancel --filter 'state:queued account:shop' --dry-run";

pub(super) const JOBS_STOP: &str = "\
Example:
  salesbot-bridge jobs stop 12";

pub(super) const JOBS_ERASE: &str = "\
Erases what the widget sent, the completions, the errors and the notes. The jobs
stay, with their times and states. See docs/privacy.md.

Examples:
  salesbot-bridge jobs erase --lead 31764961 --dry-run
  salesbot-bridge jobs erase --contact 777002 --account 31000001
  salesbot-bridge jobs erase --account 31000001 --cancel-unfinished --yes";

pub(super) const HANDLERS: &str = "\
Examples:
  salesbot-bridge handlers list
  salesbot-bridge handlers test assistant";

pub(super) const HANDLERS_LIST: &str = "\
Examples:
  salesbot-bridge handlers list
  salesbot-bridge handlers list --json";

pub(super) const HANDLERS_TEST: &str = "\
The request has the type `ping`. With another preset than `bridge`, it is the usual one.

Examples:
  salesbot-bridge handlers test assistant
  salesbot-bridge handlers test assistant --data '{\"message\": \"Hi\"}' --json";

pub(super) const WIDGETS: &str = "\
Examples:
  salesbot-bridge widgets list --installed
  salesbot-bridge widgets show amo_asterisk --account shop";

pub(super) const WIDGETS_LIST: &str = "\
Examples:
  salesbot-bridge widgets list --all
  salesbot-bridge widgets list --installed --json
  salesbot-bridge widgets list --account shop --page 2 --limit 100";

pub(super) const WIDGETS_SHOW: &str = "\
Examples:
  salesbot-bridge widgets show amo_asterisk
  salesbot-bridge widgets show amo_asterisk --json --show-secrets";

pub(super) const WIDGETS_INSTALL: &str = "\
If a setting is missing or invalid, the command names it, installs nothing and
exits with status 2.

Examples:
  salesbot-bridge widgets install amo_asterisk --settings asterisk.json
  salesbot-bridge widgets install amo_asterisk --settings asterisk.toml \\
    --set login=example --set phones.504141=1039";

pub(super) const WIDGETS_UNINSTALL: &str = "\
Example:
  salesbot-bridge widgets uninstall amo_asterisk";

pub(super) const ACCOUNTS: &str = "\
Examples:
  salesbot-bridge accounts list
  salesbot-bridge accounts authorize --integration main";

pub(super) const ACCOUNTS_LIST: &str = "\
Columns:
  ACCOUNT      The account's host, and its name if it is in the configuration
  NUMBER       The account's number in Kommo
  INTEGRATION  The integration that it is connected through
  STATE        active               the bridge has a token for it
               needs_authorization  the bridge has no valid token for it
               revoked              it was disconnected; its requests are refused
  TOKEN UNTIL  When the token expires; the bridge renews OAuth tokens before that
  WAITING      Deliveries that wait to be sent
  WHAT TO DO   Why its deliveries wait, and how to fix that
  A narrow terminal omits INTEGRATION, TOKEN UNTIL and NUMBER, and prints WHAT TO
  DO below the row.

Examples:
  salesbot-bridge accounts list
  salesbot-bridge accounts list --json";

pub(super) const ACCOUNTS_AUTHORIZE: &str = "\
Examples:
  salesbot-bridge accounts authorize
  salesbot-bridge accounts authorize --integration main --site https://www.amocrm.ru";

pub(super) const ACCOUNTS_CONFIRM: &str = "\
Examples:
  salesbot-bridge accounts confirm shop.kommo.com
  salesbot-bridge accounts confirm shop.kommo.com --account 31000001";

pub(super) const ACCOUNTS_RESUME: &str = "\
Examples:
  salesbot-bridge accounts resume shop
  salesbot-bridge accounts resume 31000001 --integration main";

pub(super) const ACCOUNTS_REMOVE: &str = "\
Examples:
  salesbot-bridge accounts remove shop.kommo.com
  salesbot-bridge accounts remove 31000001 --integration main";

pub(super) const ACTIONS: &str = "\
Example:
  salesbot-bridge actions list";

pub(super) const ACTIONS_LIST: &str = "\
Columns:
  ACTION  Its number; a bulk change has the same number
  WHEN    When it happened, or began
  WHO     The user who ran the command, or the token of the API
  WHAT    The command that does the same: jobs retry, cancel, complete, erase or stop;
          accounts authorize, confirm, resume or remove; widgets install or uninstall;
          backup; restore; store vacuum
  ON      The job, the filter, the account or the file
  JOBS    The jobs that it changed or restored
  RESULT  done, running, stopped or failed
  The store keeps the newest 10,000 actions. A restore also restores this list.
  Scheduled backups are in the log of the bridge.

Examples:
  salesbot-bridge actions list
  salesbot-bridge actions list --limit 10 --json";

#[cfg(feature = "tools")]
pub(super) const WIDGET_PACKAGE: &str = "\
Examples:
  salesbot-bridge widget-package --handler greet
  salesbot-bridge widget-package --url https://bots.example.com/widget_request/greet
  salesbot-bridge widget-package --handler greet --name 'Order status' \\
    --field 'order:numeric={{lead.id}}' --exit silent='Say nothing' --version 1.1.0";

pub(super) const DOCTOR: &str = "\
Examples:
  salesbot-bridge doctor
  salesbot-bridge doctor --json --config bridge.toml";

pub(super) const BACKUP: &str = "\
Examples:
  salesbot-bridge backup /mnt/backups/bridge.db
  salesbot-bridge backup /mnt/backups --keep 7";

pub(super) const RESTORE: &str = "\
Example:
  salesbot-bridge restore /mnt/backups/bridge-20261130T174631Z.db";

pub(super) const STORE: &str = "\
Examples:
  salesbot-bridge store check
  salesbot-bridge store stats --json";

pub(super) const STORE_CHECK: &str = "\
Example:
  salesbot-bridge store check";

pub(super) const STORE_STATS: &str = "\
Examples:
  salesbot-bridge store stats
  salesbot-bridge store stats --json";

pub(super) const STORE_VACUUM: &str = "\
Example:
  salesbot-bridge store vacuum";

pub(super) const COMPLETIONS: &str = "\
Examples:
  salesbot-bridge completions bash > completions.bash
  salesbot-bridge completions fish > completions.fish";

pub(super) const MAN: &str = "\
Examples:
  salesbot-bridge man > page.1
  salesbot-bridge man --dir /usr/local/share/man/man1";

pub(super) const HEALTH: &str = "\
Example:
  salesbot-bridge health --config bridge.toml";

#[cfg(test)]
pub(super) mod tests;
