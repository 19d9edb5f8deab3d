//! Every route with every role: what is not marked is for nobody.

use peral_central::{Route, RouteAccess, routes};
use peral_model::{AccountId, Identity};
use peral_runtime::Clock;
use peral_wire::{
    failure::Problem,
    rest::{accounts::Role, sessions::Credential},
};

use crate::support::{Net, code};

/// All that may be reached without a token. A new line here is a decision.
const OPEN: [(&str, &str, RouteAccess); 9] = [
    ("GET", "/v1/ca", RouteAccess::Public),
    ("GET", "/v1/.well-known/jwks.json", RouteAccess::Public),
    ("POST", "/v1/nonces", RouteAccess::Public),
    ("POST", "/v1/login", RouteAccess::Proof),
    ("POST", "/v1/certificates", RouteAccess::Proof),
    ("POST", "/v1/register", RouteAccess::Proof),
    ("GET", "/v1/openapi.json", RouteAccess::Public),
    ("GET", "/docs", RouteAccess::Public),
    ("GET", "/docs/{*file}", RouteAccess::Public),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    Garbage,
    Expired,
    Member,
    Admin,
    Peer,
}

const CALLERS: [Caller; 6] =
    [Caller::Nobody, Caller::Garbage, Caller::Expired, Caller::Member, Caller::Admin, Caller::Peer];

/// What the access says of the caller: refused as unknown, refused as not allowed, or let in.
fn expected(access: RouteAccess, caller: Caller) -> Option<u16> {
    match (access, caller) {
        (RouteAccess::Public, _) => None,
        // The proof that is sent proves nothing.
        (RouteAccess::Proof, _) => Some(401),
        (_, Caller::Nobody | Caller::Garbage | Caller::Expired) => Some(401),
        (RouteAccess::Member, _) => None,
        (RouteAccess::User, Caller::Peer) | (RouteAccess::Admin, Caller::Peer | Caller::Member) => {
            Some(403)
        }
        (RouteAccess::Peer, Caller::Member | Caller::Admin) => Some(403),
        (RouteAccess::User | RouteAccess::Admin | RouteAccess::Peer, _) => None,
    }
}

struct Tokens<'a> {
    net: &'a Net,
    join: String,
    member: String,
    admin: String,
}

impl Tokens<'_> {
    /// A fresh token for each call, because some routes end what they are called with; and the id
    /// that the path may name.
    async fn of(&self, caller: Caller) -> (Option<String>, String) {
        let user = async |secret: &str| {
            let login = self
                .net
                .log_in_with(Credential::ApiToken { token: secret.into() })
                .await
                .unwrap()
                .login;
            (Some(login.credentials.token), login.session.to_string())
        };
        let any = "00000000-0000-7000-8000-000000000000".to_owned();
        match caller {
            Caller::Nobody => (None, any),
            Caller::Garbage => (Some("ey.gar.bage".into()), any),
            Caller::Expired => {
                let (ago, nobody) =
                    (self.net.clock.now_ms() - 86_400_000, AccountId(uuid::Uuid::nil()));
                let subject =
                    peral_central::Subject::User { sid: peral_model::SessionId(uuid::Uuid::nil()) };
                assert!(matches!(subject.identity(), Identity::User(_)));
                let token = self.net.keys().tokens.issue(nobody, subject, i64::MAX, ago).unwrap();
                (Some(token.token), any)
            }
            Caller::Member => user(&self.member).await,
            Caller::Admin => user(&self.admin).await,
            Caller::Peer => {
                let peer = self
                    .net
                    .register(peral_runtime::tls::new_key(), Some(self.join.clone()))
                    .await
                    .unwrap();
                (Some(peer.done.credentials.token), peer.id.to_string())
            }
        }
    }
}

async fn call(net: &Net, route: &Route, token: Option<String>, id: &str) -> (u16, Option<Problem>) {
    let none = "00000000-0000-7000-8000-000000000001";
    let id = if route.path == "/v1/peers/{id}" && route.method == "DELETE" { id } else { none };
    let path = route
        .path
        .replace("{id}", id)
        .replace("{group}", none)
        .replace("{account}", none)
        .replace("{*file}", "index.html");
    let path = path.replace("{*name}", "no/such").replace("{*filename}", "no/such");
    assert!(!path.contains('{'), "{path}: add a value for it above");
    let body = match route.access {
        RouteAccess::Proof => r#"{"request":"{}","nonce":"x","signature":"x"}"#,
        _ => "{}",
    };
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut request = http.request(route.method.parse().unwrap(), format!("{}{path}", net.base));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer =
        request.header("content-type", "application/json").body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.ok())
}

/// I3: deny by default.
#[tokio::test(flavor = "multi_thread")]
async fn each_route_lets_in_whom_its_class_says() {
    let net = Net::start().await;
    net.account("ada", Role::Member).await;
    let tokens = Tokens {
        net: &net,
        join: net.join_token("ada", 10_000).await,
        member: net.api_token("ada").await,
        admin: net.api_token("root").await,
    };
    for route in routes() {
        for caller in CALLERS {
            let (token, id) = tokens.of(caller).await;
            let (status, problem) = call(&net, &route, token, &id).await;
            let shown =
                format!("{} {} as {caller:?}: {status} {problem:?}", route.method, route.path);
            match expected(route.access, caller) {
                Some(wanted) => assert_eq!(
                    (status, problem.map(|problem| problem.status)),
                    (wanted, Some(wanted)),
                    "{shown}"
                ),
                None => {
                    assert!(![401, 403, 405, 500, 501].contains(&status), "{shown}");
                    assert!(
                        problem
                            .is_none_or(|problem| !problem.detail.contains("route does not exist")),
                        "{shown}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_open_is_written_down() {
    let open: Vec<_> = routes()
        .into_iter()
        .filter(|route| matches!(route.access, RouteAccess::Public | RouteAccess::Proof))
        .collect();
    let mut found: Vec<_> =
        open.iter().map(|route| (route.method, route.path.as_str(), route.access)).collect();
    let mut written = OPEN.to_vec();
    found.sort_by_key(|&(method, path, _)| (path, method));
    written.sort_by_key(|&(method, path, _)| (path, method));
    assert_eq!(found, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_network_are_refused() {
    let (net, other) = (Net::start().await, Net::start().await);
    let stranger = other.root().await;
    let there = net.client().with_token(&stranger.login.credentials.token);
    assert_eq!(code(there.whoami().await), peral_wire::ErrorCode::Unauthenticated);
}
