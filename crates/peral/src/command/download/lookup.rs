//! The file that a person names, as central knows it.

use peral_model::{ContentId, Identity, Record};
use peral_wire::{
    Catalogue, ErrorCode, Failure, Sealed, convert, fail,
    keys::{KeyUse, Verifier},
    rest::files::{Sources, SourcesRequest},
};

/// A file version that a person names.
pub struct FileQuery<'a> {
    /// Its name, or its hash with or without `hash:` before it.
    pub file: &'a str,
    pub version: Option<u64>,
    /// Who will show the grant, if not the session itself.
    pub bearer: Option<Identity>,
}

/// A file version with the peers that have it.
pub struct FoundFile {
    pub record: Sealed<Record>,
    pub sources: Sources,
    pub verifier: Verifier,
}

impl FileQuery<'_> {
    /// Asks central, and checks that it answers with the file that was asked for.
    ///
    /// # Errors
    /// What central answers; INTERNAL: it answers with another file.
    pub async fn find(&self, catalogue: &Catalogue) -> Result<FoundFile, Failure> {
        let mut request = self.request()?;
        let sources = self.sources(catalogue, &mut request).await?;
        let verifier = Verifier::new(&catalogue.jwks().await?, KeyUse::Record);
        let record = Sealed::<Record>::from_text(&sources.record, &verifier)?;
        let said = &record.value;
        let fits = request.hash.is_none_or(|hash| said.content.hash == hash)
            && request.name.as_deref().is_none_or(|name| said.name.as_str() == name)
            && request.version.is_none_or(|version| said.version == version);
        if !fits {
            return Err(fail!(
                Internal,
                "central answered with another file: {:?}, version {}",
                said.name.as_str(),
                said.version
            ));
        }
        Ok(FoundFile { record, sources, verifier })
    }

    fn request(&self) -> Result<SourcesRequest, Failure> {
        let text = self.file.strip_prefix("hash:").unwrap_or(self.file);
        let mut request = SourcesRequest {
            version: self.version,
            bearer: self.bearer,
            ..SourcesRequest::default()
        };
        match text.parse::<ContentId>() {
            Ok(hash) => request.hash = Some(hash),
            Err(error) if text.len() < self.file.len() => {
                return Err(fail!(InvalidArgument, "{error}"));
            }
            Err(_) => request.name = Some(convert::name(text)?.to_string()),
        }
        Ok(request)
    }

    /// A name can look like a hash: if there is no such content, asks for the name.
    async fn sources(
        &self,
        catalogue: &Catalogue,
        request: &mut SourcesRequest,
    ) -> Result<Sources, Failure> {
        match catalogue.sources(request).await {
            Err(failure)
                if failure.code == ErrorCode::NotFound
                    && request.hash.is_some()
                    && !self.file.starts_with("hash:") =>
            {
                request.hash = None;
                request.name = Some(convert::name(self.file)?.to_string());
                catalogue.sources(request).await
            }
            answer => answer,
        }
    }
}
