//! The calls of a client: the five methods of the Widgets API, and any other call as JSON.

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

/// The maximum number of widgets on a page.
pub const MAX_WIDGETS: u32 = 250;

impl Client {
    /// Reads one page of the account's widgets: the installed public widgets, and those that the token's user added.
    ///
    /// `page` counts from 1, and `limit` is at most [`MAX_WIDGETS`]. A page past the end is empty.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Refused`] if `page` or `limit` is invalid.
    pub async fn widgets(&self, page: u32, limit: u32) -> Result<WidgetPage, Error> {
        Ok(self.page(list_path(page, limit)?, page).await?.0)
    }

    /// Reads all widgets of the account, in pages of `limit`, like [`widget_pages`](Self::widget_pages).
    pub fn all_widgets(&self, limit: u32) -> BoxStream<'static, Result<Widget, Error>> {
        let items = |page: WidgetPage| stream::iter(page.widgets.into_iter().map(Ok));
        self.widget_pages(limit).map_ok(items).try_flatten().boxed()
    }

    /// Reads all pages of the account's widgets, each when the stream is polled for it.
    ///
    /// The stream follows Kommo's links to the next page. It ends after a page that fails, and with an error if a link
    /// leads to another host or back to a page that was read.
    pub fn widget_pages(&self, limit: u32) -> BoxStream<'static, Result<WidgetPage, Error>> {
        let client = self.clone();
        let first = list_path(1, limit);
        let read: HashSet<String> = first.iter().cloned().collect();
        let pages = stream::try_unfold((first.map(Some), 1, read), move |(path, number, mut read)| {
            let client = client.clone();
            async move {
                let Some(path) = path? else { return Ok(None) };
                let (page, origin) = client.page(path, number).await?;
                // The error of a bad link follows the page that contains it.
                let next = page.next.as_deref().map(|link| path_of(link, &origin)).transpose();
                let next = match next {
                    Ok(Some(next)) if !read.insert(next.clone()) => Err(Error::Unexpected {
                        expected: "a list of widgets that ends".to_owned(),
                        why: format!(
                            "the link after page {number} leads back to a page that was already read"
                        ),
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

    /// Reads the widget with this code. It must be public, or the token's user must have added it.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotFound`] if there is no such widget.
    pub async fn widget(&self, code: &str) -> Result<Widget, Error> {
        let reply = self.call(ApiRequest::get(widget_path(code)?)).await?;
        decoded(&reply, "a widget")
    }

    /// Installs a widget, after checking the settings against its template. The token must belong to an administrator.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Settings`] names every setting that does not fit, and nothing was installed.
    pub async fn install_widget(&self, code: &str, settings: &WidgetSettings) -> Result<Widget, Error> {
        let widget = self.widget(code).await?;
        settings
            .check(&widget.settings_template)
            .map_err(|mistakes| Error::Settings { code: code.to_owned(), mistakes })?;
        self.install_widget_unchecked(code, settings).await
    }

    /// Installs a widget without checking the settings; Kommo decides whether they fit.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Invalid`] names what Kommo refuses.
    pub async fn install_widget_unchecked(
        &self,
        code: &str,
        settings: &WidgetSettings,
    ) -> Result<Widget, Error> {
        let reply = self.call(ApiRequest::with_json(Method::POST, &widget_path(code)?, settings)?).await?;
        decoded(&reply, "the installed widget")
    }

    /// Uninstalls a widget. The token must belong to an administrator.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn uninstall_widget(&self, code: &str) -> Result<(), Error> {
        self.call(ApiRequest::delete(widget_path(code)?)).await.map(drop)
    }

    /// Continues the bot that waits at `return_url`. The token must belong to an administrator.
    ///
    /// The continue is a write, so the client does not retry it if its response is lost. If the continue must arrive,
    /// return it as the completion of a handler, which the bridge delivers.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotFound`] if no bot waits there, [`Error::Refused`] if `return_url` belongs to another
    /// account.
    pub async fn continue_bot(
        &self,
        return_url: &ReturnUrl,
        completion: &CheckedCompletion,
    ) -> Result<(), Error> {
        if return_url.origin() != self.account_url() {
            return Err(Error::Refused(Reason::new(format!(
                "the return_url belongs to another account than {}: use that account's client",
                self.account_url()
            ))));
        }
        let request = ApiRequest::post(return_url.url().path(), completion.as_json().to_owned());
        self.call(request).await.map(drop)
    }

    /// Continues the bot that waits at the `return_url` with these parts.
    ///
    /// # Errors
    /// The errors of [`continue_bot`](Self::continue_bot).
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
            Error::Refused(Reason::new("invalid bot id or continue id: use the values of a widget_request"))
        })?;
        self.continue_bot(&return_url, completion).await
    }

    /// Reads a path of the account, such as `/api/v4/leads/7?with=contacts`. If Kommo has nothing to return, it answers 204
    /// without a body, and the result is `null`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get_json(&self, path: &str) -> Result<Value, Error> {
        self.get(path).await
    }

    /// Posts JSON to a path of the account. The client does not retry it if the response is lost.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn post_json(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.post(path, body).await
    }

    /// Sends JSON to a path of the account with `PATCH`. The client does not retry it if the response is lost.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch_json(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.patch(path, body).await
    }

    /// Like [`get_json`](Self::get_json), but returns a type of your own: an `Option` if Kommo may have nothing to return.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Unexpected`] names the place in the response that does not fit the type.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        decoded(&self.call(ApiRequest::get(path)).await?, type_name::<T>())
    }

    /// Like [`post_json`](Self::post_json), but returns the response as a type of your own.
    ///
    /// # Errors
    /// The errors of [`get`](Self::get). After [`Error::Unexpected`], the call has taken effect although its response does
    /// not fit.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, Error> {
        let request = ApiRequest::with_json(Method::POST, path, body)?;
        decoded(&self.call(request).await?, type_name::<T>())
    }

    /// Like [`patch_json`](Self::patch_json), but returns the response as a type of your own.
    ///
    /// # Errors
    /// The errors of [`get`](Self::get). After [`Error::Unexpected`], the call has taken effect although its response does
    /// not fit.
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
            "invalid page {page} or limit {limit}: pages count from 1, and the limit is 1 to {MAX_WIDGETS} widgets"
        ))));
    }
    Ok(format!("{WIDGETS_PATH}?limit={limit}&page={page}"))
}

fn widget_path(code: &str) -> Result<String, Error> {
    Ok(format!("{WIDGETS_PATH}/{}", segment(code)?))
}

/// The path and query of a link, which must lead to the account that sent it.
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

/// Decodes the body; `expected` describes the value for the error.
fn decoded<T: DeserializeOwned>(reply: &Reply, expected: &str) -> Result<T, Error> {
    let body = &reply.response.body;
    let unexpected = |why: String| Error::Unexpected { expected: expected.to_owned(), why };
    match reply.response.body_end {
        BodyEnd::Complete => {}
        BodyEnd::BrokeOff => {
            return Err(Error::Transport {
                reason: Reason::new("the connection broke before the end of the response"),
                sent: true,
            });
        }
        BodyEnd::TooLong => {
            return Err(unexpected(format!("it is longer than {} MiB", MAX_LIST_BYTES >> 20)));
        }
    }
    let body = if body.is_empty() { b"null" } else { body.as_slice() };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        let text = cause.to_string();
        unexpected(match text.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
            // The name of a field comes from the type. Any other text may quote the body, so omit it.
            Some((field, _)) if path == "." => format!("`{field}` is missing"),
            Some((field, _)) => format!("`{path}.{field}` is missing"),
            None if !cause.is_data() => "it is not JSON".to_owned(),
            None if path == "." => "it has another type".to_owned(),
            None => format!("`{path}` has another type"),
        })
    })?;
    reader.end().map_err(|_| unexpected("it has more than one JSON value".to_owned()))?;
    Ok(value)
}
