//! Requests about objects of any kind, each with its verb and resource for errors.

use k8s_openapi::{Metadata, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Resource,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    client::Connection,
    error::{ApiError, Failure},
};

/// An object to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// What it is.
    pub kind: ApiResource,
    /// Its name.
    pub name: String,
    /// All of it.
    pub value: Value,
}

impl Object {
    /// Of an object of a known type, which has a name.
    pub fn of<T>(object: &T) -> Self
    where
        T: Resource<DynamicType = ()> + Metadata<Ty = ObjectMeta> + Serialize,
    {
        let name = object.metadata().name.clone().unwrap_or_default();
        // What Kubernetes' own types hold is always JSON.
        Self { kind: ApiResource::erase::<T>(&()), name, value: serde_json::to_value(object).unwrap_or_default() }
    }

    /// For people: `Service "demo"`.
    pub fn shown(&self) -> String {
        format!("{} {:?}", self.kind.kind, self.name)
    }
}

/// The objects of one kind in a namespace.
#[derive(Debug, Clone)]
pub struct Objects {
    api: Api<DynamicObject>,
    kind: ApiResource,
}

impl Objects {
    /// Those of the connection's namespace.
    pub fn new(connection: &Connection, kind: &ApiResource) -> Self {
        let api = Api::namespaced_with(connection.client.clone(), &connection.namespace, kind);
        Self { api, kind: kind.clone() }
    }

    /// Those of a known type.
    pub fn of<T: Resource<DynamicType = ()>>(connection: &Connection) -> Self {
        Self::new(connection, &ApiResource::erase::<T>(&()))
    }

    fn error(&self, verb: &'static str, name: &str, error: &kube::Error) -> ApiError {
        ApiError::new(verb, format!("{} {name:?}", self.kind.plural), error)
    }

    /// One, if it is there.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn get(&self, name: &str) -> Result<Option<DynamicObject>, ApiError> {
        self.api.get_opt(name).await.map_err(|error| self.error("get", name, &error))
    }

    /// Makes one; `None` if there is one of that name.
    ///
    /// # Errors
    /// When it is not made for another reason.
    pub async fn create(&self, object: &Object) -> Result<Option<DynamicObject>, ApiError> {
        let body = serde_json::from_value(object.value.clone()).map_err(kube::Error::SerdeError);
        let created = match body {
            Ok(body) => self.api.create(&PostParams::default(), &body).await,
            Err(error) => Err(error),
        };
        match created.map_err(|error| self.error("create", &object.name, &error)) {
            Ok(made) => Ok(Some(made)),
            Err(error) if is_taken(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes one by a merge patch. `None` if it is not there, or another one than the patch names by its `uid`.
    ///
    /// # Errors
    /// When it is not changed for another reason.
    pub async fn patch(&self, name: &str, patch: &Value) -> Result<Option<DynamicObject>, ApiError> {
        let patched = self.api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        match patched.map_err(|error| self.error("patch", name, &error)) {
            Ok(patched) => Ok(Some(patched)),
            Err(ApiError { failure: Failure::NotFound(_) | Failure::Conflict(_), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the one that has this `uid`, and what belongs to it after it. That it is gone already is fine.
    ///
    /// # Errors
    /// When it is not deleted.
    pub async fn delete(&self, name: &str, uid: &str) -> Result<(), ApiError> {
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        let deleted = self.api.delete(name, &parameters).await;
        match deleted.map_err(|error| self.error("delete", name, &error)) {
            Ok(_) | Err(ApiError { failure: Failure::NotFound(_) | Failure::Conflict(_), .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn is_taken(error: &ApiError) -> bool {
    matches!(error.failure, Failure::Conflict(_))
}
