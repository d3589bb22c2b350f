import HTTPTypes
import MartletBase
import MartletObject
import MartletReplica
import Testing

@testable import MartletGateway

@Suite struct DocumentTests {
    @Test func discoveryListsEveryKindInItsOldForm() async throws {
        try await TestAPI.run { api in
            #expect(await api.get("/api").json["versions"] == ["v1"])
            let groups = await api.get("/apis").json
            #expect(groups.kind == "APIGroupList")
            #expect(groups["groups"]?.array?.contains { $0["name"] == "apps" } == true)
            #expect(await api.get("/apis/apps").json["preferredVersion", "groupVersion"] == "apps/v1")
            for kind in ResourceKind.all {
                let list = await api.get(kind.group.isEmpty ? "/api/v1" : "/apis/\(kind.apiVersion)").json
                let entry = list["resources"]?.array?.first { $0["name"]?.string == kind.plural }
                #expect(entry?["kind"]?.string == kind.kind)
                for subresource in kind.subresources {
                    let name = "\(kind.plural)/\(subresource)"
                    #expect(list["resources"]?.array?.contains { $0["name"]?.string == name } == true, "\(name)")
                }
            }
        }
    }

    @Test func discoveryNamesTheFormThatObjectsAreStoredIn() async throws {
        try await TestAPI.run { api in
            // As every cluster says, by SHA-256.
            for (path, name, hash) in [
                ("/api/v1", "pods", "xPOwRZ+Yhw8="), ("/api/v1", "configmaps", "qFsyl6wFWjQ="),
                ("/apis/apps/v1", "deployments", "8aSe+NMegvE="), ("/api/v1", "events", "r2yiGXH7wu8="),
                ("/apis/events.k8s.io/v1", "events", "r2yiGXH7wu8="),
            ] {
                let resources = await api.get(path).json["resources"]?.array ?? []
                #expect(resources.first { $0["name"]?.string == name }?["storageVersionHash"]?.string == hash)
            }
            let reviews = await api.get("/apis/authorization.k8s.io/v1").json["resources"]?.array ?? []
            #expect(!reviews.isEmpty && reviews.allSatisfy { $0["storageVersionHash"] == nil })
        }
    }

    @Test func discoveryComesAggregatedByTheAcceptHeader() async throws {
        try await TestAPI.run { api in
            let accept =
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
                + "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
            let reply = await api.get("/apis", accept: accept)
            #expect(
                reply.head.headerFields[.contentType]
                    == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
            #expect(reply.json.kind == "APIGroupDiscoveryList")
            let apps = reply.json["items"]?.array?.first { $0.name == "apps" }
            let resources = apps?["versions"]?[0]?["resources"]?.array ?? []
            let deployments = resources.first { $0["resource"] == "deployments" }
            #expect(deployments?["scope"] == "Namespaced")
            let scale = deployments?["subresources"]?.array?.first { $0["subresource"] == "scale" }
            #expect(scale?["responseKind", "kind"] == "Scale")
            let old = await api.get(
                "/api", accept: "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")
            #expect(old.json.apiVersion == "apidiscovery.k8s.io/v2beta1")
        }
    }

    @Test func openAPISaysThatPatchesCheckFields() async throws {
        try await TestAPI.run { api in
            let index = await api.get("/openapi/v3").json
            let url = index["paths", "apis/apps/v1", "serverRelativeURL"]?.string ?? ""
            #expect(url.hasPrefix("/openapi/v3/apis/apps/v1?hash="))
            let document = await api.get(url).json
            let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
            let patch = document["paths", path, "patch"]
            #expect(patch?["x-kubernetes-group-version-kind", "kind"] == "Deployment")
            #expect(patch?["parameters"]?.array?.contains { $0["name"] == "fieldValidation" } == true)
        }
    }

    @Test func versionHealthAndMetricsAreServed() async throws {
        try await TestAPI.run { api in
            let version = await api.get("/version").json
            #expect(version["major"] == "1" && version["minor"] == "36" && version["gitVersion"] == "v1.36.0")
            #expect(await api.get("/readyz").text == "ok")
            #expect(await api.get("/livez/ping").text == "ok")
            #expect(await api.get("/livez/moon").code == 404)
            #expect(await api.get("/readyz?verbose").text.hasSuffix("readyz check passed\n"))
            _ = await api.get("\(Paths.pods)/none")
            let metrics = await api.get("/metrics").text
            #expect(
                metrics.contains(
                    "apiserver_request_total{code=\"404\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"pods\","
                        + "scope=\"resource\",subresource=\"\",verb=\"GET\",version=\"v1\"} 1"))
        }
    }

    @Test func metricsHaveThePrometheusForm() async throws {
        try await TestAPI.run { api in
            _ = await api.get("\(Paths.pods)/none")
            let text = await api.get("/metrics").text
            var typed: Set<Substring> = []
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                if line.hasPrefix("# TYPE ") { typed.insert(words[2]) }
                if line.hasPrefix("#") { continue }
                let name = line.prefix { $0 != "{" && $0 != " " }
                let isKnown = typed.contains { name == $0 || name.hasPrefix("\($0)_") }
                #expect(isKnown && Double(words.last ?? "") != nil, "\(line)")
            }
            #expect(text.contains("apiserver_storage_objects{resource=\"namespaces\"} 4\n"))
            let labels =
                "component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"pods\",scope=\"resource\",subresource=\"\","
                + "verb=\"GET\",version=\"v1\""
            for bound in ["0.4", "1", "60", "+Inf"] {
                #expect(
                    text.contains("apiserver_request_duration_seconds_bucket{\(labels),le=\"\(bound)\"} "), "\(bound)")
            }
        }
    }

    @Test func metricsTellOfTheStoreTheProcessAndItsWatches() async throws {
        var use = ProcessFacts(cpuSeconds: 1.5, startSeconds: 1e9)
        (use.residentBytes, use.descriptors) = (4096, 7)
        let told = use
        try await TestAPI.run(configure: { $0.processUse = { told } }) { api in
            let watch = await api.gateway.serve(
                api.request(.get, "\(Paths.configMaps)?watch=true"), as: TestAPI.admin)
            let text = await api.get("/metrics").text
            for line in [
                "process_resident_memory_bytes 4096\n", "process_cpu_seconds_total 1.5\n", "process_open_fds 7\n",
                "process_start_time_seconds 1000000000.0\n", "etcd_server_has_leader 1\n", "etcd_server_is_leader 1\n",
                "etcd_mvcc_db_total_size_in_bytes ",
                "apiserver_registered_watchers{group=\"\",kind=\"ConfigMap\",version=\"v1\"} 1\n",
            ] { #expect(text.contains(line), "\(line)") }
            withExtendedLifetime(watch) {}
        }
    }

    /// As dashboards and alerts of Kubernetes ask for them.
    @Test func requestsAreCountedUnderTheVerbsOfKubernetes() async throws {
        try await TestAPI.run { api in
            let map = Samples.configMap("a")
            _ = await api.post(Paths.configMaps, map)
            _ = await api.post("\(Paths.configMaps)?dryRun=All", Samples.configMap("b"))
            _ = await api.put("\(Paths.configMaps)/a", map)
            _ = await api.get(Paths.configMaps)
            _ = await api.get("/api/v1/configmaps")
            _ = await api.delete("\(Paths.configMaps)/a")
            _ = await api.get("\(Paths.pods)/none/exec?command=a")
            let text = await api.get("/metrics").text
            for (resource, dryRun, scope, subresource, verb) in [
                ("configmaps", "", "resource", "", "POST"), ("configmaps", "All", "resource", "", "POST"),
                ("configmaps", "", "resource", "", "PUT"), ("configmaps", "", "namespace", "", "LIST"),
                ("configmaps", "", "cluster", "", "LIST"), ("configmaps", "", "resource", "", "DELETE"),
                ("pods", "", "resource", "exec", "CONNECT"),
            ] {
                let labels =
                    "component=\"apiserver\",dry_run=\"\(dryRun)\",group=\"\",resource=\"\(resource)\","
                    + "scope=\"\(scope)\",subresource=\"\(subresource)\",verb=\"\(verb)\",version=\"v1\"} 1\n"
                #expect(text.contains(labels), "\(labels)")
            }
        }
    }

    @Test func checksOfHealthAreCounted() async throws {
        try await TestAPI.run { api in
            for path in ["/readyz", "/readyz", "/livez/ping", "/livez?exclude=ping"] { _ = await api.get(path) }
            await api.replica.close()
            _ = await api.get("/livez?exclude=ping")
            let lines = await api.get("/metrics/slis").text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            #expect(
                lines == [
                    #"kubernetes_healthcheck{name="etcd",type="livez"} 0"#,
                    #"kubernetes_healthcheck{name="etcd",type="readyz"} 1"#,
                    #"kubernetes_healthcheck{name="informer-sync",type="readyz"} 1"#,
                    #"kubernetes_healthcheck{name="ping",type="readyz"} 1"#,
                    #"kubernetes_healthchecks_total{name="etcd",type="livez",status="error"} 1"#,
                    #"kubernetes_healthchecks_total{name="etcd",type="livez",status="success"} 1"#,
                    #"kubernetes_healthchecks_total{name="etcd",type="readyz",status="success"} 2"#,
                    #"kubernetes_healthchecks_total{name="informer-sync",type="readyz",status="success"} 2"#,
                    #"kubernetes_healthchecks_total{name="ping",type="readyz",status="success"} 2"#,
                ])
        }
    }

    @Test func healthFailsOnceTheStoreTakesNoWrites() async throws {
        try await TestAPI.run { api in
            let ready = "[+]ping ok\n[+]etcd ok\n[+]informer-sync ok\nreadyz check passed\n"
            #expect(await api.get("/readyz?verbose").text == ready)
            let without = await api.get("/livez?verbose&exclude=etcd&exclude=ping&exclude=moon").text
            #expect(
                without == "[+]ping excluded: ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: "
                    + "no matches for \"moon\"\nlivez check passed\n")
            await api.replica.close()
            for name in ["readyz", "livez", "healthz"] {
                let failed = await api.get("/\(name)")
                #expect(failed.code == 500)
                let more = name == "readyz" ? "[+]informer-sync ok\n" : ""
                #expect(failed.text == "[+]ping ok\n[-]etcd failed: reason withheld\n\(more)\(name) check failed\n")
            }
            #expect(await api.get("/readyz/etcd").code == 500)
            #expect(await api.get("/readyz/ping").code == 200)
            #expect(await api.get("/livez?exclude=etcd").text == "ok")
        }
    }

    @Test func headIsAnsweredAsGetIs() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            for path in ["/readyz", "/api", "\(Paths.configMaps)/a", Paths.configMaps] {
                let head = await api.send(.head, path)
                let get = await api.get(path)
                #expect(head.code == 200 && head.bytes == get.bytes)
            }
            #expect(await api.send(.head, "\(Paths.configMaps)/b").code == 404)
            #expect(await api.send(.head, "\(Paths.configMaps)?watch=true").json.kind == "ConfigMapList")
            #expect(await api.send(.options, Paths.configMaps).code == 405)
        }
    }

    @Test func pathsThatLeadNowhereAreNotFound() async throws {
        try await TestAPI.run { api in
            let paths = [
                "/nothing", "/api/v2", "/apis/moon", "/apis/apps/v9", "/api/v1/moons", "/apis/apps/v1/pods",
                "/api/v1/pods/a", "/api/v1/namespaces/default/pods/a/moon", "/api/v1/namespaces/a%2Fb/pods",
                "/api/v1/namespaces/../pods/x", "/openapi/v3/apis/moon/v1",
            ]
            for path in paths {
                let reply = await api.get(path)
                #expect(reply.code == 404, "\(path)")
                #expect(reply.message == "the server could not find the requested resource", "\(path)")
            }
            #expect(await api.post("/api", [:]).code == 405)
            #expect(await api.send(.put, Paths.pods).code == 405)
        }
    }

    @Test func unknownFieldsAreWarnedOfRefusedOrIgnored() async throws {
        try await TestAPI.run { api in
            var object = Samples.configMap("a")
            object["moon"] = "full"
            let warned = await api.post(Paths.configMaps, object)
            #expect(warned.code == 201)
            #expect(warned.warnings == ["299 - \"unknown field \\\"moon\\\"\""])
            #expect(warned.json["moon"] == nil)
            let strict = await api.post("\(Paths.configMaps)?fieldValidation=Strict", object)
            #expect(strict.code == 400)
            #expect(
                strict.message
                    == "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown "
                    + "field \"moon\"")
            object["metadata", "name"] = "b"
            let ignored = await api.post("\(Paths.configMaps)?fieldValidation=Ignore", object)
            #expect(ignored.code == 201 && ignored.warnings.isEmpty)
            #expect(await api.post("\(Paths.configMaps)?fieldValidation=Moon", object).code == 422)
        }
    }

    @Test func whatIsWrongWithAPatchIsWarnedOfRefusedOrIgnored() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            func patch(_ text: String, _ type: PatchType, _ validation: String) async -> Reply {
                let path = "\(Paths.configMaps)/a?fieldValidation=\(validation)"
                return await api.send(.patch, path, Array(text.utf8), type: type.rawValue)
            }
            let merge = #"{"data":{"k":"1","k":"2"},"moon":1}"#
            let operations = #"""
                [{"op":"add","path":"/moon","value":1,"phase":2},
                 {"op":"test","op":"add","path":"/data","value":{"k":"2"}}]
                """#
            let ours = [#"duplicate field "data.k""#, #"unknown field "moon""#]
            let theirs = [
                #"json patch unknown field "[0].phase""#, #"json patch duplicate field "[1].op""#,
                #"unknown field "moon""#,
            ]
            // Of a strategic merge patch the patch itself is shown, of others what they make.
            for (text, type, shown, faults) in [
                (merge, PatchType.merge, #"{\""#, ours),
                (merge, .strategic, #"map[data:map[k:2] moon:1]": "#, ours),
                (operations, .json, #"{\""#, theirs),
            ] {
                let strict = await patch(text, type, "Strict")
                #expect(strict.code == 422 && strict.reason == "Invalid")
                let start = #" "" is invalid: patch: Invalid value: ""# + shown
                #expect(strict.message.hasPrefix(start), "\(strict.message)")
                #expect(strict.message.hasSuffix(": strict decoding error: " + faults.joined(separator: ", ")))
                let warned = await patch(text, type, "Warn")
                #expect(warned.code == 200 && warned.warnings == faults.map { Gateway.warning($0) })
                #expect(warned.json["data", "k"] == "2")
                let ignored = await patch(text, type, "Ignore")
                #expect(ignored.code == 200 && ignored.warnings.isEmpty)
            }
        }
    }

    @Test func aLogNeedsAContainersNameWhenThereAreSeveral() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.pods, Samples.pod("a", containers: ["one", "two"]))
            let unnamed = await api.get("\(Paths.pods)/a/log")
            #expect(unnamed.code == 400)
            #expect(
                unnamed.message == "a container name must be specified for pod a, choose one of: [one two]")
            let wrong = await api.get("\(Paths.pods)/a/log?container=three")
            #expect(wrong.message == "container three is not valid for pod a")
            #expect(await api.get("\(Paths.pods)/a/log?container=one").code == 204)
        }
    }
}
