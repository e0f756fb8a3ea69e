//! Reads what the page shows. Each part is read alone and in limited time, so that one that cannot be read hides nothing else.

use store::backup;
use store::outside::Sizes;

use super::facts::{Backups, Content, Facts, FileSize, Part, Size};
use super::forecast::{Forecast, Growth, jobs_per_day};
use crate::admin::Shared;
use crate::admin::health::troubles;
use crate::admin::live::StoreSettings;
use crate::admin::pages::gather::{blocking, part};
use crate::admin::store_view::sizes;
use crate::history::Window;

/// Reads everything.
pub(super) async fn facts(shared: &Shared) -> Facts {
    let StoreSettings { url, retention, body_retention, backup_folder } = shared.live.store();
    let files = async {
        let folder = backup_folder?;
        let state = shared.live.backups()?;
        let listed = folder.clone();
        let files = part(blocking(move || backup::list_in(&listed, &url))).await;
        Some(Backups { folder, state, files })
    };
    let (size, content, backups, refuses_because) =
        tokio::join!(size(shared), content(shared), files, troubles(shared));
    let growth = growth(shared, size.as_ref().ok(), content.as_ref().ok());
    Facts {
        now: shared.clock.now(),
        refuses_because,
        forecast: growth.map_or(Forecast::Unknown, Growth::forecast),
        size,
        content,
        retention,
        body_retention,
        backups,
        check: shared.store_check.state(),
    }
}

async fn size(shared: &Shared) -> Part<Size> {
    Ok(match part(sizes(shared)).await? {
        Sizes::File(sizes) => {
            let reusable_bytes = part(shared.store.maintenance().reusable_bytes()).await.ok();
            Size::File(FileSize { sizes, reusable_bytes })
        }
        Sizes::Database(sizes) => Size::Database(sizes),
    })
}

async fn content(shared: &Shared) -> Part<Content> {
    let stats = part(shared.store.jobs().stats()).await?;
    Ok(Content {
        jobs: stats.jobs,
        stored_bytes: stats.stored_bytes,
        unfinished_bytes: stats.unfinished_bytes,
    })
}

/// What is known about the growth; `None` if a part of it is unknown, such as the disk of a database server.
fn growth(shared: &Shared, size: Option<&Size>, content: Option<&Content>) -> Option<Growth> {
    let (Size::File(size), content) = (size?, content?) else { return None };
    let reusable = size.reusable_bytes?;
    Some(Growth {
        used: size.sizes.file_bytes.saturating_sub(reusable),
        room: reusable.saturating_add(size.sizes.free_bytes?),
        jobs: content.jobs.values().sum(),
        jobs_per_day: jobs_per_day(&shared.history.whole(Window::Day, shared.clock.now()))?,
        retention: shared.live.store().retention,
    })
}
