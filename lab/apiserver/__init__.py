"""The lab's Kubernetes API server: a small, honest double of kube-apiserver 1.32 as K3s runs it.

It is one process, and in the lab it is all of the cluster's servers: each has a port of its own (``fronts``), goes down
and comes back as the K3s unit on its node does (lab/k3s), reads and writes the one store with the keys of its own
EncryptionConfiguration (``encryption``, ``values``), and keeps a member of the datastore on its node's disk
(``members``). One of those that are up stands behind the common port. Without ``--servers`` there is only that.

It is driven by the OpenAPI schemas of the kinds, keeps objects in SQLite under a real server's keys, and refuses in a
real server's words. A request takes this way: ``web`` (HTTP) -> ``authentication`` -> ``requests`` (what is asked) ->
``access`` (may they?) -> ``server`` -> ``verbs``, ``subresources``, ``reviews`` or ``proxy`` -> ``registry`` (the life
of objects: ``decoding``, ``kinds``, ``admission``) -> ``storage``.

Left out, and refused where a client asks for it:

- Kinds: alpha and beta versions, events.k8s.io, autoscaling/v1, APIServices, ComponentStatuses.
- Subresources: portforward, proxy, ephemeralcontainers, resize, approval of certificate requests.
- SPDY, HTTP/2, CBOR, /openapi/v2, audit logs, rate limits (API priority and fairness), and all metrics but two of the
  encryption's reload.
- Protobuf: read for the kinds in data/protobuf.yaml only; answers are always JSON.
- Client certificates, OIDC, token Secrets of service accounts (use TokenRequest).
- Admission webhooks and policies, conversion webhooks, LimitRanges, ResourceQuotas, NodeRestriction. **The first, third
  and fourth are stored and have no effect**, so the lab accepts what a real cluster with such objects would refuse.
- PUT never creates. Jobs with manualSelector, CEL rules in CustomResourceDefinitions and many rules between fields of
  built-in kinds are not checked (see ``validation`` and ``kinds``).
- What controllers do (replicas, garbage collection, namespaces, default accounts) is in lab/controllers.

Other differences: a restart forgets the history of watches (clients relist, as after any 410); an established
CustomResourceDefinition is told at once; all versions of a custom kind differ by name only.
"""
