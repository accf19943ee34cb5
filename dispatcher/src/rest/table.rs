//! The table of routes. A route is entered once, with what it takes and gives; the router and the OpenAPI document both
//! come from that one entry, so neither can know a route that the other does not.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    routing::{MethodFilter, on},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, Components, Content, HttpMethod, Info, OpenApi, Paths, Ref, RefOr, Required, Response, Schema,
        path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::shapes::Errors;

const JSON: &str = "application/json";
const TOKEN: &str = "token";

type Schemas = Vec<(String, RefOr<Schema>)>;

/// What is said of a route.
pub struct Doc {
    summary: &'static str,
    query: Vec<(&'static str, &'static str)>,
    body: Option<(&'static str, Option<RefOr<Schema>>)>,
    answer: (&'static str, &'static str, Option<RefOr<Schema>>),
    schemas: Schemas,
}

impl Doc {
    /// A route that answers 200 with a `T`.
    pub fn answers<T: ToSchema>(summary: &'static str) -> Self {
        Self::answers_with::<T>("200", summary)
    }

    /// A route that answers `status` with a `T`.
    pub fn answers_with<T: ToSchema>(status: &'static str, summary: &'static str) -> Self {
        let mut schemas = Schemas::new();
        let schema = reference::<T>(&mut schemas);
        Self { summary, query: Vec::new(), body: None, answer: (status, JSON, Some(schema)), schemas }
    }

    /// A route that answers 200 with an array of `T`. (All arrays have the same name, and so no schema of their own.)
    pub fn answers_list<T: ToSchema>(summary: &'static str) -> Self {
        let mut schemas = Schemas::new();
        let list = ArrayBuilder::new().items(reference::<T>(&mut schemas)).into();
        Self { summary, query: Vec::new(), body: None, answer: ("200", JSON, Some(list)), schemas }
    }

    /// A route that answers 200 with content of type `kind`.
    pub fn answers_content(kind: &'static str, summary: &'static str) -> Self {
        Self { summary, query: Vec::new(), body: None, answer: ("200", kind, None), schemas: Schemas::new() }
    }

    /// Takes a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, description: &'static str) -> Self {
        self.query.push((name, description));
        self
    }

    /// Takes a JSON body.
    #[must_use]
    pub fn takes<T: ToSchema>(mut self) -> Self {
        let schema = reference::<T>(&mut self.schemas);
        self.body = Some((JSON, Some(schema)));
        self
    }

    /// Takes a body of type `kind`.
    #[must_use]
    pub fn takes_content(mut self, kind: &'static str) -> Self {
        self.body = Some((kind, None));
        self
    }

    fn operation(self, path: &str, schemas: &mut Schemas) -> Operation {
        schemas.extend(self.schemas);
        let content = |(kind, schema): (&'static str, Option<RefOr<Schema>>)| (kind, Content::new(schema));
        let (status, kind, schema) = self.answer;
        let (kind, answer) = content((kind, schema));
        let mut answered = Response::new("done");
        answered.content.insert(kind.to_owned(), answer.into());
        let mut refused = Response::new("refused");
        refused.content.insert(JSON.to_owned(), Content::new(Some(reference::<Errors>(schemas))).into());
        let body = self.body.map(content).map(|(kind, body)| RequestBodyBuilder::new().content(kind, body).build());
        let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters = in_path
            .map(|name| parameter(name, None))
            .chain(self.query.iter().map(|(name, description)| parameter(name, Some(description))));
        OperationBuilder::new()
            .summary(Some(self.summary))
            .parameters(Some(parameters.collect::<Vec<_>>()))
            .request_body(body)
            .response(status, answered)
            .response("default", refused)
            .build()
    }
}

fn parameter(name: &str, query: Option<&str>) -> Parameter {
    let (place, required) = match query {
        Some(_) => (ParameterIn::Query, Required::False),
        None => (ParameterIn::Path, Required::True),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(query)
        .schema(Some(String::schema()))
        .build()
}

/// Refers to `T`'s schema by name, and collects it with all that it refers to.
fn reference<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
    Ref::from_schema_name(T::name()).into()
}

/// Routes with their documentation.
pub struct Table<S> {
    router: Router<S>,
    paths: Paths,
    schemas: Schemas,
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    /// No routes.
    pub fn new() -> Self {
        Self { router: Router::new(), paths: Paths::new(), schemas: Vec::new() }
    }

    /// Enters a route.
    #[must_use]
    pub fn route<H, T>(mut self, method: HttpMethod, path: &'static str, doc: Doc, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let streams = matches!(doc.body, Some((kind, _)) if kind != JSON);
        let operation = doc.operation(path, &mut self.schemas);
        self.paths.add_path_operation(path, vec![method.clone()], operation);
        let mut handler = on(filter(&method), handler);
        if streams {
            // What streams its body to the disk bounds it by itself.
            handler = handler.layer(DefaultBodyLimit::disable());
        }
        self.router = self.router.route(path, handler);
        self
    }

    /// Enters a GET route.
    #[must_use]
    pub fn get<H, T>(self, path: &'static str, doc: Doc, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.route(HttpMethod::Get, path, doc, handler)
    }

    /// Takes over the routes of `other`.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.paths.merge(other.paths);
        self.schemas.extend(other.schemas);
        self
    }

    /// The router, and the document that describes it.
    pub fn finish(self) -> (Router<S>, OpenApi) {
        let mut components = Components::new();
        components.schemas.extend(self.schemas);
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
        let mut api = OpenApi::new(Info::new("Flott REST", env!("CARGO_PKG_VERSION")), self.paths);
        api.components = Some(components);
        let optional = SecurityRequirement::default();
        api.security = Some(vec![optional, SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
        (self.router, api)
    }
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Trace => MethodFilter::TRACE,
        _ => MethodFilter::GET,
    }
}
