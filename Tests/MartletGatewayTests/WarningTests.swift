import MartletObject
import Testing

@testable import MartletGateway

/// What whoever writes or reads something is warned of.
@Suite struct WarningTests {
    @Test func aDeprecatedKindSaysWhatToUseInstead() async throws {
        try await TestAPI.run { api in
            let text = "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\""
            let path = "/api/v1/namespaces/default/endpoints"
            #expect(await api.get(path).warnings == [text])
            #expect(await api.post(path, ["metadata": ["name": "e"]]).warnings == [text])
            #expect(await api.get("\(path)/e").warnings == [text])
            #expect(await api.delete("\(path)/e").warnings == [text])
            #expect(await api.get("/api/v1/namespaces/default/services").warnings.isEmpty)
        }
    }

    @Test func whatNoControllerActsOnSaysSoWhenItIsMade() async throws {
        try await TestAPI.run { api in
            let path = "/apis/apps/v1/namespaces/default/statefulsets"
            var set: JSON = ["metadata": ["name": "a"], "spec": ["serviceName": "a"]]
            set["spec", "selector"] = ["matchLabels": ["a": "b"]]
            set["spec", "template"] = [
                "metadata": ["labels": ["a": "b"]], "spec": ["containers": [["name": "main", "image": "x"]]],
            ]
            let text = "299 - \"no controller of Martlet acts on StatefulSet objects: it gets no pods\""
            #expect(await api.post(path, set).warnings == [text])
            #expect(await api.get("\(path)/a").warnings.isEmpty)
            #expect(await api.patch("\(path)/a", ["spec": ["replicas": 2]]).warnings.isEmpty)
        }
        #expect(ResourceKind.deployment.creationWarning == nil)
        // Each of the names is that of a kind.
        #expect(ResourceKind.all.filter { $0.creationWarning != nil }.count == 8)
    }

    @Test func aPodSaysWhatInItIsOldOrDoesNothing() async throws {
        try await TestAPI.run { api in
            var pod = Samples.pod("a")
            pod["spec", "nodeSelector"] = ["beta.kubernetes.io/os": "linux"]
            pod["spec", "containers"] = [
                [
                    "name": "main", "image": "x", "env": [["name": "A", "value": "1"], ["name": "A", "value": "2"]],
                    "ports": [["containerPort": 80], ["containerPort": 80, "name": "web"]],
                    "resources": ["limits": ["memory": "100m"]],
                ]
            ]
            let texts = [
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an "
                    + "integer",
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
            ]
            let made = await api.post(Paths.pods, pod)
            #expect(made.code == 201)
            for text in texts { #expect(made.warnings.contains(Gateway.warning(text)), "\(made.warnings)") }
            // A change of something else is not a reason to say it again.
            #expect(await api.patch("\(Paths.pods)/a", ["metadata": ["labels": ["a": "b"]]]).warnings.isEmpty)
            let image: JSON = ["spec": ["containers": [["name": "main", "image": "y"]]]]
            #expect(await api.patch("\(Paths.pods)/a", image, .strategic).warnings.count == made.warnings.count)
        }
    }

    @Test func templatesAndOtherKindsDoSoToo() {
        let template: JSON = ["spec": ["volumes": [["name": "v", "gitRepo": ["repository": "r"]]]]]
        let gitRepo = "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"
        #expect(FieldWarnings.of(["spec": ["template": template]], kind: .deployment) == ["spec.template.\(gitRepo)"])
        #expect(
            FieldWarnings.of(["spec": ["jobTemplate": ["spec": ["template": template]]]], kind: .cronJob)
                == ["spec.jobTemplate.spec.template.\(gitRepo)"])
        #expect(
            FieldWarnings.of(
                ["metadata": ["annotations": ["kubernetes.io/ingress.class": "x"]], "spec": [:]], kind: .ingress)
                == [
                    "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' "
                        + "instead"
                ])
        #expect(
            FieldWarnings.of(["spec": ["persistentVolumeReclaimPolicy": "Recycle"]], kind: .persistentVolume).count == 1
        )
        #expect(
            FieldWarnings.of(["spec": ["externalName": "x", "type": "ClusterIP"]], kind: .service)
                == ["spec.externalName is ignored when spec.type is not \"ExternalName\""])
    }
}
