import FuzzSupport
import MartletBase
import MartletObject
import Testing

/// A big pod as a client may send it: fields out of order, numbers and quantities in several forms.
private let pod = """
    {"kind":"Pod","apiVersion":"v1","metadata":{"labels":{"tier":"web","app":"a \\"b\\" \\\\ \\u00e9"},"name":"web-1",
    "finalizers":["example.org/b","example.org/a"],
    "ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"1","controller":true}]},
    "spec":{"volumes":[{"emptyDir":{},"name":"scratch"},{"name":"config","configMap":{"name":"web","items":[]}}],
    "containers":[{"name":"web","image":"web:1","ports":[{"containerPort":80,"protocol":"TCP"},
    {"protocol":"UDP","containerPort":80},{"containerPort":8080,"name":"http"}],
    "resources":{"limits":{"memory":"1024Mi","cpu":0.5},"requests":{"cpu":"500m"}},
    "env":[{"name":"B","value":"2"},{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],
    "readinessProbe":{"httpGet":{"port":"http","path":"/"},"periodSeconds":5}},
    {"name":"api","image":"api:1","livenessProbe":{"tcpSocket":{"port":81}},"args":["a","b"],"resources":{}}],
    "nodeSelector":{},"tolerations":[{"operator":"Exists"}],"terminationGracePeriodSeconds":30}}
    """

private let now = "2026-01-02T03:04:05Z"

@Suite struct CreationPathTests {
    /// Objects of every kind, and the pod above.
    private func objects() throws -> [(ResourceKind, JSON)] {
        var objects: [(ResourceKind, JSON)] = [(.pod, try json(pod))]
        for kind in ResourceKind.all where kind.verbs.contains("list") {
            let text = try #require(KindSamples.text(apiVersion: kind.apiVersion, kind: kind.kind))
            objects.append((kind, try json(text)))
        }
        return objects
    }

    // MARK: Reading in one pass

    @Test func onePassReadsWhatTheLongWayReads() throws {
        for (kind, object) in try objects() {
            let read = Schema.read(object.encoded(), as: kind)
            #expect(read == (try Schema.conform(object, to: kind).object), "\(kind.kind)")
        }
        let read = try #require(Schema.read(Array(pod.utf8), as: .pod))
        #expect(read["spec", "containers"]?[0]?["resources", "limits"] == ["cpu": "500m", "memory": "1Gi"])
        #expect(read.members.map(\.key) == ["apiVersion", "kind", "metadata", "spec"])
    }

    @Test(arguments: [
        #"{"apiVersion":"v1","kind":"Pod","spec":null}"#, #"{"apiVersion":"v1","kind":"Pod","spek":{}}"#,
        #"{"apiVersion":"v1","kind":"Pod","spec":{"hostname":1}}"#, #"{"apiVersion":"v1","kind":"Pod"} x"#,
        #"{"apiVersion":"v1","kind":"Pod","kind":"Pod"}"#, #"{"apiVersion":"v2","kind":"Pod"}"#, #"{"kind":"Pod"}"#,
        #"{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"b","a":"c"}}}"#, "[]", "", "{", "nul",
        #"{"apiVersion":"v1","kind":"Pod","spec":{"\u0068ostname":"a"}}"#, #"{"apiVersion":"v1","kind":"Pod",}"#,
        #"{"apiVersion":"v1","kind":"Pod","spec":{"activeDeadlineSeconds":1.5}}"#,
    ])
    func whatNeedsWordsIsLeftToTheLongWay(text: String) { #expect(Schema.read(Array(text.utf8), as: .pod) == nil) }

    /// Spoilt bodies: where the one pass gives an answer, it is the long way's, and that had nothing to say.
    @Test(.timeLimit(.minutes(60))) func fuzzedBodiesAreReadAlikeOrNotAtAll() throws {
        var random = SplitMix64(seed: Fuzz.seed(44))
        var alike = 0
        for (kind, object) in try objects() {
            for _ in 0..<Fuzz.runs(60) {
                let bytes = Fuzz.spoiled(object.encoded(), &random)
                guard let read = Schema.read(bytes, as: kind) else { continue }
                var duplicates: [String] = []
                let (known, unknown) = try Schema.conform(JSON(parsing: bytes, duplicates: &duplicates), to: kind)
                #expect(read == known && unknown.isEmpty && duplicates.isEmpty, "\(kind.kind)")
                alike += 1
            }
        }
        #expect(alike > 10)
    }

    // MARK: Ownership of a new object

    private func ownership(_ kind: ResourceKind, ignored: FieldSet = FieldSet()) -> FieldOwnership {
        FieldOwnership(
            shape: .of(kind), manager: .init("a \"client\"", .update, apiVersion: kind.apiVersion), time: now,
            ignored: ignored)
    }

    private func stored(_ object: JSON, _ ownership: FieldOwnership) throws -> (long: [UInt8], short: [UInt8]?) {
        var managed = ManagedFields()
        ownership.update(&managed, from: [:], to: object)
        var owned = object
        owned["metadata", "managedFields"] = managed.json
        let short = ownership.text(ofNew: object).map { StoredObject(object, managedFields: $0).bytes }
        return (StoredObject(owned).bytes, short)
    }

    @Test func ownersWrittenAtOnceAreThoseWorkedOut() throws {
        for (kind, raw) in try objects() {
            var object = try Schema.conform(raw, to: kind).object
            Defaults.apply(to: &object, kind: kind)
            for places in [[], ["status"], ["spec", "data"]] {
                let ignored = FieldSet(places.map { [.field($0)] })
                let (long, short) = try stored(object, ownership(kind, ignored: ignored))
                let written = short.map { String(decoding: $0, as: UTF8.self) }
                #expect(written == String(decoding: long, as: UTF8.self), "\(kind.kind)")
            }
        }
    }

    @Test func ownersAreWorkedOutWhereElementsShareTheirKeys() throws {
        var object = try Schema.conform(json(pod), to: .pod).object
        object["spec", "tolerations"] = [["key": "a"], ["key": "a"]]
        #expect(ownership(.pod).text(ofNew: object) != nil)
        object["metadata", "finalizers"] = ["a", "a"]
        #expect(ownership(.pod).text(ofNew: object) == nil)
    }

    @Test func nobodyOwnsAnObjectThatSetsNothing() throws {
        let object = try json(#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#)
        #expect(ownership(.configMap).text(ofNew: object) == [])
        let (long, short) = try stored(object, ownership(.configMap))
        #expect(short == long)
    }

    // MARK: Defaults

    @Test func defaultsComeWhereTheTablesHaveThem() throws {
        for (kind, raw) in try objects() {
            var object = try Schema.conform(raw, to: kind).object
            Defaults.apply(to: &object, kind: kind)
            let filled = object
            #expect(try Schema.conform(filled, to: kind).object == filled, "\(kind.kind)")
            Defaults.apply(to: &object, kind: kind)
            #expect(object == filled, "\(kind.kind)")
        }
        var object = try Schema.conform(json(pod), to: .pod).object
        object["spec", "priority"] = 0
        object["spec", "serviceAccountName"] = "default"
        object["spec", "fromTheFuture"] = true
        Defaults.apply(to: &object, kind: .pod)
        let names = (object["spec"] ?? [:]).members.map(\.key)
        #expect(names.last == "fromTheFuture")
        #expect(names.firstIndex(of: "serviceAccountName") ?? 0 < names.firstIndex(of: "priority") ?? 0)
    }
}
