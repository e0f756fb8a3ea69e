//! The validated description of a package. Only [`Draft::check`](super::Draft::check) creates a [`Spec`], so the code
//! that builds a package can trust it.

use super::bridge_url::BridgeUrl;
use super::exit::Exit;
use super::field::Field;
use super::locale::Locale;
use super::logo::Logo;
use super::texts::texts;
use super::version::Version;
use model::HandlerName;

/// Keys of a manifest's `salesbot_designer` that are not blocks.
const RESERVED_BLOCKS: [&str; 2] = ["logo", "conditions"];

/// A package that can be built.
#[derive(Clone, Debug)]
pub struct Spec {
    pub(super) url: BridgeUrl,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) short_description: Option<String>,
    pub(super) support_email: Option<String>,
    pub(super) support_link: String,
    pub(super) locales: Vec<Locale>,
    pub(super) fields: Vec<Field>,
    pub(super) exits: Vec<Exit>,
    pub(super) version: Version,
    pub(super) logo: Option<Logo>,
}

impl Spec {
    /// The address that the block calls.
    pub const fn url(&self) -> &BridgeUrl {
        &self.url
    }

    /// The handler that the block calls.
    pub const fn handler(&self) -> &HandlerName {
        self.url.handler()
    }

    /// The code of the block in the manifest: the handler's name as an identifier.
    pub fn block(&self) -> String {
        let code = self.handler().as_str().replace('-', "_");
        if RESERVED_BLOCKS.contains(&code.as_str()) { format!("{code}_block") } else { code }
    }

    /// The name that users see in Kommo, in every language.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of this upload.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The languages: at least one, without duplicates.
    pub fn locales(&self) -> &[Locale] {
        &self.locales
    }

    /// The fields that the block sends.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The exits of the block, including `success`, `superseded` and `fail`.
    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }

    /// The title of an exit in the package's first language.
    pub fn title<'a>(&'a self, exit: &'a Exit) -> &'a str {
        let own = texts(self.locales.first().copied().unwrap_or(Locale::En));
        exit.title().or(own.of_exit(exit.code())).unwrap_or(exit.code())
    }

    /// The logo supplied by the operator; `None` if the package draws one.
    pub const fn logo(&self) -> Option<&Logo> {
        self.logo.as_ref()
    }
}
