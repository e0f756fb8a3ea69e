# What a person types. Everything here is one command; `.ci/run` is the judge.

# Shows this list.
default:
    @just --list

# Runs every test, as the README says.
test *args:
    cargo test --locked {{ args }}

# Clippy with the rules of Cargo.toml and clippy.toml, for each set of features; warnings are errors.
lint:
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --package salesbot-bridge --no-default-features -- -D warnings
    cargo clippy --locked --package salesbot-bridge --no-default-features --features cli -- -D warnings
    cargo clippy --locked --package salesbot-bridge --no-default-features --features testing -- -D warnings
    cargo clippy --locked --package salesbot-bridge-kommo -- -D warnings

# Formats the code.
fmt:
    cargo fmt --all

# Builds the documentation, warnings are errors.
docs *args:
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --features testing {{ args }}

# Licences, banned and duplicate crates, sources, advisories (needs cargo-deny).
deny:
    cargo deny --locked check

# Every gate: format, lints, documentation, tests, demo.
ci:
    .ci/run

# The whole loop on this machine: bridge, database and a Kommo that is played.
demo *args:
    cargo run --release --locked -- demo {{ args }}

# Kills, power cuts, failing disks, properties and fuzzing for 20 minutes: [--minutes N] [--seed S].
soak *args:
    .ci/soak {{ args }}

# Fuzzes each target for the given number of seconds (needs a nightly compiler; installs cargo-fuzz).
fuzz seconds="60":
    .ci/fuzz {{ seconds }}

# Lints the description of the admin API, and compares a running bridge with it: [PROGRAM] [--seconds N].
openapi *args:
    .ci/openapi {{ args }}

# How many requests a second the loop takes in and continues.
bench-loop *args:
    cargo run --release --locked -- bench {{ args }}

# The table of targets: the bridge beside a baseline, in every situation that counts (up to an hour; --quick: minutes).
bench *args:
    cargo bench --bench targets --locked -- {{ args }}

# Builds the container image.
image tag="salesbot-bridge":
    docker build --tag {{ tag }} .

# Builds the image, and that of examples/docker, without a Docker engine, and runs both as containers (Debian, root).
image-check:
    .ci/image-check
