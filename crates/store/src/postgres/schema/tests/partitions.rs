//! Partitions.

use std::time::{Duration, Instant};

use super::*;

fn id(moment: Timestamp, random: u128) -> Uuid {
    model::JobId::new(moment, random).as_uuid()
}

async fn place(connection: &mut PgConnection, table: Table, id: Uuid) -> String {
    let sql = format!("SELECT tableoid::regclass::text FROM {} WHERE {} = '{id}'", table.name(), table.key());
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn the_partitions_of_the_coming_days_are_created_once() {
    let Some(database) = testing::empty_database() else { return };
    let mut connection = connect(&database).await;
    migrate(&mut connection, Role::Owner, database.name()).await.unwrap();
    let today = Day::of(START);
    assert_eq!(ensure(&mut connection, today, DAYS_AHEAD).await, Ok(45));
    assert_eq!(ensure(&mut connection, today, DAYS_AHEAD).await, Ok(0));
    assert_eq!(ensure(&mut connection, today.plus(1), DAYS_AHEAD).await, Ok(5));
    for table in Table::ALL {
        let days = partition_changes::existing(&mut connection, table).await.unwrap();
        assert_eq!(days, (-1..=8).map(|ahead| today.plus(ahead)).collect::<Vec<_>>());
    }
    // Each partition has the indexes of its table.
    for table in Table::ALL {
        let count = |name: String| format!("SELECT count(*) FROM pg_indexes WHERE tablename = '{name}'");
        let partition = Partition { table, day: today };
        let of_partition = number(&mut connection, count(partition.name())).await;
        assert_eq!(of_partition, number(&mut connection, count(table.name().into())).await, "{table:?}");
    }
}

#[tokio::test]
async fn rows_go_to_the_partition_of_their_day_or_to_the_default_one() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&database).await;
    let far = START + Duration::from_secs(30 * 86_400);
    for (moment, place_of_it) in [(START, "jobs_20231114"), (far, "jobs_default")] {
        for random in [0, u128::MAX] {
            let id = id(moment, random);
            queued(&mut connection, id).await;
            assert_eq!(place(&mut connection, Table::Jobs, id).await, place_of_it);
        }
    }
}

#[tokio::test]
async fn rows_of_a_new_partition_leave_the_default_one() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&database).await;
    let far = START + Duration::from_secs(30 * 86_400);
    let moved = id(far, 7);
    let stays = id(far + Duration::from_secs(20 * 86_400), 7);
    for id in [moved, stays] {
        queued(&mut connection, id).await;
        for sql in [
            format!("INSERT INTO job_bodies VALUES ('{id}', 0, '{{}}')"),
            format!("INSERT INTO notes VALUES ('{id}', 1, 1, 'seen')"),
            format!("INSERT INTO other_attempts VALUES ('{id}', 'handler', 1, 1, 1, 'ok', NULL, NULL)"),
        ] {
            run(&mut connection, sql).await;
        }
    }
    let before =
        number(&mut connection, "SELECT sum(hashtextextended(jobs::text, 0))::bigint FROM jobs").await;
    assert_eq!(ensure(&mut connection, Day::of(far), DAYS_AHEAD).await, Ok(45));
    for table in [Table::Jobs, Table::JobBodies, Table::OtherAttempts, Table::Notes] {
        let partition = Partition { table, day: Day::of(far) };
        assert_eq!(place(&mut connection, table, moved).await, partition.name());
        assert_eq!(place(&mut connection, table, stays).await, table.default_partition());
    }
    let after =
        number(&mut connection, "SELECT sum(hashtextextended(jobs::text, 0))::bigint FROM jobs").await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_change_of_partitions_does_not_wait_long_for_a_reader() {
    let Some(database) = testing::database() else { return };
    let (mut connection, mut reader) = (connect(&database).await, connect(&database).await);
    run(&mut reader, "BEGIN").await;
    number(&mut reader, "SELECT count(*) FROM jobs").await;
    let started = Instant::now();
    let day = Day::of(START);
    let later = ensure(&mut connection, day.plus(1), DAYS_AHEAD).await;
    assert!(matches!(later, Err(StoreError::Contended(_))), "{later:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    run(&mut reader, "COMMIT").await;
    assert_eq!(ensure(&mut connection, day.plus(1), DAYS_AHEAD).await, Ok(5));
}
