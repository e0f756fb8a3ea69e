//! The calls of a client: the five methods of the Widgets API, and any other as JSON.

use std::any::type_name;
use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use model::{BotType, CheckedCompletion, ReturnUrl};

use super::client::{Client, Reply};
use super::error::Error;
use super::http_client::MAX_LIST_BYTES;
use super::reason::Reason;
use super::request::{ApiRequest, segment};
use super::response::BodyEnd;
use super::settings::WidgetSettings;
use super::widgets::{Widget, WidgetList, WidgetPage};

const WIDGETS_PATH: &str = "/api/v4/widgets";

/// The most widgets on a page.
pub const MAX_WIDGETS: u32 = 250;

impl Client {
    /// One page of the widgets of the account: the public ones that are installed, and those that the token's user
    /// added. `page` counts from 1, `limit` is at most [`MAX_WIDGETS`]. A page past the end is empty.
    ///
    /// # Errors
    /// See [`Error`]. Also, before anything is sent, for a `page` or `limit` that Kommo does not take.
    pub async fn widgets(&self, page: u32, limit: u32) -> Result<WidgetPage, Error> {
        Ok(self.page(list_path(page, limit)?, page).await?.0)
    }

    /// All widgets of the account, by pages of `limit`, as [`widget_pages`](Self::widget_pages).
    pub fn all_widgets(&self, limit: u32) -> BoxStream<'static, Result<Widget, Error>> {
        let items = |page: WidgetPage| stream::iter(page.widgets.into_iter().map(Ok));
        self.widget_pages(limit).map_ok(items).try_flatten().boxed()
    }

    /// All pages of the list of widgets, each read when it is asked for. It goes where Kommo's link to the next page
    /// leads, and ends with an error if that is another host, or a page that it has read. A failed page ends it.
    pub fn widget_pages(&self, limit: u32) -> BoxStream<'static, Result<WidgetPage, Error>> {
        let client = self.clone();
        let first = list_path(1, limit);
        let read: HashSet<String> = first.iter().cloned().collect();
        let pages = stream::try_unfold((first.map(Some), 1, read), move |(path, number, mut read)| {
            let client = client.clone();
            async move {
                let Some(path) = path? else { return Ok(None) };
                let (page, origin) = client.page(path, number).await?;
                // A bad link is an error after the page that has it.
                let next = page.next.as_deref().map(|link| path_of(link, &origin)).transpose();
                let next = match next {
                    Ok(Some(next)) if !read.insert(next.clone()) => Err(Error::Unexpected {
                        expected: "a list of widgets that ends".to_owned(),
                        why: format!("the link behind page {number} leads back to a page that was read"),
                    }),
                    next => next,
                };
                Ok(Some((page, (next, number + 1, read))))
            }
        });
        pages.boxed()
    }

    async fn page(&self, path: String, number: u32) -> Result<(WidgetPage, Arc<str>), Error> {
        let reply = self.call(ApiRequest::get(path)).await?;
        let list: Option<WidgetList> = decoded(&reply, "a list of widgets")?;
        let none = WidgetPage { page: number, ..WidgetPage::default() };
        Ok((list.map_or(none, |list| list.into_page(number)), reply.origin))
    }

    /// The widget of this code, if it is public or the token's user added it.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotFound`] if there is none.
    pub async fn widget(&self, code: &str) -> Result<Widget, Error> {
        let reply = self.call(ApiRequest::get(widget_path(code)?)).await?;
        decoded(&reply, "a widget")
    }

    /// Installs a widget, after its template was read and the settings fit it. The token has to be an administrator's.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Settings`] names every setting that does not fit, and then nothing was sent.
    pub async fn install_widget(&self, code: &str, settings: &WidgetSettings) -> Result<Widget, Error> {
        let widget = self.widget(code).await?;
        settings
            .check(&widget.settings_template)
            .map_err(|mistakes| Error::Settings { code: code.to_owned(), mistakes })?;
        self.install_widget_unchecked(code, settings).await
    }

    /// The same without the check: Kommo decides what fits.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Invalid`] says what Kommo does not take.
    pub async fn install_widget_unchecked(
        &self,
        code: &str,
        settings: &WidgetSettings,
    ) -> Result<Widget, Error> {
        let reply = self.call(ApiRequest::with_json(Method::POST, &widget_path(code)?, settings)?).await?;
        decoded(&reply, "the installed widget")
    }

    /// Uninstalls a widget. The token has to be an administrator's.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn uninstall_widget(&self, code: &str) -> Result<(), Error> {
        self.call(ApiRequest::delete(widget_path(code)?)).await.map(drop)
    }

    /// Continues the bot that waits at `return_url`. It is sent once: a continue that must arrive is a handler's
    /// completion, which the bridge delivers. The token has to be an administrator's.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotFound`] if no bot waits there. Also if `return_url` is of another account.
    pub async fn continue_bot(
        &self,
        return_url: &ReturnUrl,
        completion: &CheckedCompletion,
    ) -> Result<(), Error> {
        if return_url.origin() != self.account_url() {
            return Err(Error::Refused(Reason::new(format!(
                "the return_url is of another account than {}: ask that account's client",
                self.account_url()
            ))));
        }
        let request = ApiRequest::post(return_url.url().path(), completion.as_json().to_owned());
        self.call(request).await.map(drop)
    }

    /// The same by what a `return_url` is made of.
    ///
    /// # Errors
    /// As [`continue_bot`](Self::continue_bot).
    pub async fn continue_block(
        &self,
        bot_type: BotType,
        bot_id: i64,
        continue_id: &str,
        completion: &CheckedCompletion,
    ) -> Result<(), Error> {
        let bot_type = bot_type.as_str();
        let text = format!("{}/api/v4/{bot_type}/{bot_id}/continue/{continue_id}", self.account_url());
        let return_url = text.parse().map_err(|_| {
            Error::Refused(Reason::new("this is no bot and continue id: both come with a widget_request"))
        })?;
        self.continue_bot(&return_url, completion).await
    }

    /// Reads a path of the account, `/api/v4/leads/7?with=contacts`. Where Kommo has nothing to show it answers 204
    /// without a body; that is `null`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get_json(&self, path: &str) -> Result<Value, Error> {
        self.get(path).await
    }

    /// Posts JSON to a path of the account. It is sent once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn post_json(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.post(path, body).await
    }

    /// Changes what is at a path of the account. It is sent once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch_json(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.patch(path, body).await
    }

    /// As [`get_json`](Self::get_json), into a type of your own: an `Option` if there may be nothing.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Unexpected`] names the place that does not fit the type.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        decoded(&self.call(ApiRequest::get(path)).await?, type_name::<T>())
    }

    /// As [`post_json`](Self::post_json), with the answer in a type of your own.
    ///
    /// # Errors
    /// As [`get`](Self::get). What was posted is done, also if its answer does not fit.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, Error> {
        let request = ApiRequest::with_json(Method::POST, path, body)?;
        decoded(&self.call(request).await?, type_name::<T>())
    }

    /// As [`patch_json`](Self::patch_json), with the answer in a type of your own.
    ///
    /// # Errors
    /// As [`get`](Self::get). What was changed is changed, also if its answer does not fit.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, Error> {
        let request = ApiRequest::with_json(Method::PATCH, path, body)?;
        decoded(&self.call(request).await?, type_name::<T>())
    }
}

fn list_path(page: u32, limit: u32) -> Result<String, Error> {
    if page == 0 || limit == 0 || limit > MAX_WIDGETS {
        return Err(Error::Refused(Reason::new(format!(
            "there is no page {page} of {limit} widgets: pages count from 1 and hold 1 to {MAX_WIDGETS}"
        ))));
    }
    Ok(format!("{WIDGETS_PATH}?limit={limit}&page={page}"))
}

fn widget_path(code: &str) -> Result<String, Error> {
    Ok(format!("{WIDGETS_PATH}/{}", segment(code)?))
}

/// Path and query of a link, which must lead to the account that gave it.
fn path_of(link: &str, origin: &str) -> Result<String, Error> {
    let elsewhere = || Error::Unexpected {
        expected: "a list of widgets of this account".to_owned(),
        why: "its link to the next page leads to another host".to_owned(),
    };
    let base = Url::parse(origin).map_err(|_| elsewhere())?;
    let url = base.join(link).map_err(|_| elsewhere())?;
    if url.origin() != base.origin() {
        return Err(elsewhere());
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}{query}", url.path()))
}

/// The body as a value; `expected` says what it should be.
fn decoded<T: DeserializeOwned>(reply: &Reply, expected: &str) -> Result<T, Error> {
    let body = &reply.response.body;
    let unexpected = |why: String| Error::Unexpected { expected: expected.to_owned(), why };
    match reply.response.body_end {
        BodyEnd::Complete => {}
        BodyEnd::BrokeOff => {
            return Err(Error::Transport { reason: Reason::new("the answer broke off"), sent: true });
        }
        BodyEnd::TooLong => {
            return Err(unexpected(format!("it is longer than {} MiB", MAX_LIST_BYTES >> 20)));
        }
    }
    let body = if body.is_empty() { b"null" } else { body.as_slice() };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // The error itself may repeat what was there.
        let (path, cause) = (error.path().to_string(), error.inner());
        unexpected(if cause.is_data() {
            format!("`{path}` is missing or of another type")
        } else {
            "it is not JSON".to_owned()
        })
    })?;
    reader.end().map_err(|_| unexpected("there is more than one value".to_owned()))?;
    Ok(value)
}
