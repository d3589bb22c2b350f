import MartletBase
import Testing

@testable import MartletObject

/// Objects in protobuf's form: what kubectl sends, and what is hard about the form.
@Suite struct ProtobufTests {
    private func json(_ text: String) throws -> JSON { try JSON(parsing: text.utf8) }

    /// What the API makes of the bytes.
    private func read(_ bytes: [UInt8], _ kind: ResourceKind) throws -> JSON {
        let (object, unknown) = try Schema.conform(try ProtobufBody.decode(bytes), to: kind)
        #expect(unknown.isEmpty)
        return object
    }

    @Test func timesOutsideOfWhatTextMaySayAreRefused() throws {
        func event(_ seconds: Int64) -> [UInt8] {
            func counted(_ field: UInt8, _ bytes: [UInt8]) -> [UInt8] { [field << 3 | 2, UInt8(bytes.count)] + bytes }
            func varint(_ value: UInt64) -> [UInt8] {
                value < 128 ? [UInt8(value)] : [UInt8(value & 127) | 128] + varint(value >> 7)
            }
            let time = [0x08] + varint(UInt64(bitPattern: seconds))
            // metadata.creationTimestamp is field 8 of ObjectMeta.
            let raw = counted(1, counted(8, time))
            let type = counted(1, counted(1, Array("v1".utf8)) + counted(2, Array("ConfigMap".utf8)))
            return Array("k8s\u{0}".utf8) + type + counted(2, raw)
        }
        #expect(try ProtobufBody.decode(event(0))["metadata", "creationTimestamp"] == "1970-01-01T00:00:00Z")
        for seconds: Int64 in [-9_223_372_036, 9_223_372_036, .min, .max] {
            #expect(throws: (any Error).self, "\(seconds)") { try ProtobufBody.decode(event(seconds)) }
        }
    }

    // MARK: What kubectl sends

    @Test func aNamespaceIsRead() throws {
        #expect(
            try read(KubectlBodies.namespace, .namespace)
                == json(#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"moon"},"spec":{},"status":{}}"#))
    }

    @Test func secretsAreRead() throws {
        #expect(
            try read(KubectlBodies.secret, .secret)
                == json(
                    #"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pass"},"#
                        + #""data":{"user":"YQ==","word":"czNjcmV0"}}"#))
        let tls = try read(KubectlBodies.tlsSecret, .secret)
        #expect(tls["type"] == "kubernetes.io/tls")
        let certificate = try #require(Base64.decode(tls["data", "tls.crt"]?.string ?? ""))
        #expect(String(decoding: certificate, as: UTF8.self).hasPrefix("-----BEGIN CERTIFICATE-----\n"))
        #expect(tls["data", "tls.key"] != nil)
    }

    @Test func aDeploymentIsReadAndItsPointersKeepTheirZero() throws {
        #expect(
            try read(KubectlBodies.deployment, .deployment)
                == json(
                    #"""
                    {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"app":"web"}},
                     "spec":{"replicas":0,"selector":{"matchLabels":{"app":"web"}},"strategy":{},
                      "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[
                       {"name":"web","image":"registry.test/web:1","ports":[{"containerPort":8080}],"resources":{}}]}}},
                     "status":{}}
                    """#))
    }

    @Test func anIngressIsRead() throws {
        #expect(
            try read(KubectlBodies.ingress, .ingress)
                == json(
                    #"""
                    {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web"},
                     "spec":{"ingressClassName":"martlet","tls":[{"hosts":["shop.test"],"secretName":"cert"}],
                      "rules":[{"host":"shop.test","http":{"paths":[{"path":"/cart","pathType":"Prefix",
                       "backend":{"service":{"name":"web","port":{"number":80}}}}]}}]},
                     "status":{"loadBalancer":{}}}
                    """#))
    }

    @Test func aConfigMapAndAServiceAccountAreRead() throws {
        #expect(
            try read(KubectlBodies.configMap, .configMap)
                == json(#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"words"},"data":{"a":"b"}}"#))
        #expect(
            try read(KubectlBodies.serviceAccount, .serviceAccount)
                == json(#"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"robot"}}"#))
    }

    @Test func servicesAreReadWithPortsByNumberAndName() throws {
        #expect(
            try read(KubectlBodies.service, .service)
                == json(
                    #"""
                    {"apiVersion":"v1","kind":"Service","metadata":{"name":"web","labels":{"app":"web"}},
                     "spec":{"type":"ClusterIP","selector":{"app":"web"},
                      "ports":[{"name":"80-8080","protocol":"TCP","port":80,"targetPort":8080}]},
                     "status":{"loadBalancer":{}}}
                    """#))
        let nodePort = try read(KubectlBodies.nodePort, .service)
        #expect(nodePort["spec", "ports"]?[0]?["targetPort"] == "http")
        #expect(nodePort["spec", "ports"]?[0]?["nodePort"] == 30001)
    }

    // MARK: What is special in the form

    @Test func fieldsThatJSONHasOneLevelUpAreFoundInTheirMessages() throws {
        let reference = Message().message(1, Message().text(1, "words")).text(2, "a").number(3, 0)
        let variable = Message().text(1, "A").text(2, "").message(3, Message().message(3, reference))
        let get = Message().text(1, "/up").message(2, Message().number(1, 0).number(2, 80)).text(3, "")
        let probe = Message().message(1, Message().message(2, get)).number(2, 5)
        let container = Message().text(1, "c").message(7, variable).message(11, probe)
        let source = Message().message(2, Message().text(1, "").message(2, quantity("64Mi")))
        let volume = Message().text(1, "v").message(2, source)
        let pod = Message().message(2, Message().message(1, volume).message(2, container))
        #expect(
            try ProtobufBody.decode(pod.body("v1", "Pod"))["spec"]
                == json(
                    #"""
                    {"volumes":[{"name":"v","emptyDir":{"sizeLimit":"64Mi"}}],
                     "containers":[{"name":"c",
                      "env":[{"name":"A",
                       "valueFrom":{"configMapKeyRef":{"name":"words","key":"a","optional":false}}}],
                      "readinessProbe":{"httpGet":{"path":"/up","port":80},"initialDelaySeconds":5}}]}
                    """#))
    }

    @Test func quantitiesTimesAndListsOfNumbersAreRead() throws {
        let time = Message().number(1, 1_700_000_000).number(2, 123_456_789)
        let claims = Message().text(1, "cpu").message(2, quantity("500m"))
        let status = Message().message(1, claims).message(1, Message().text(1, "memory"))
        let metadata = Message().text(1, "n1").message(8, time).message(9, Message()).number(7, 0)
        let node = try ProtobufBody.decode(Message().message(1, metadata).message(3, status).body("v1", "Node"))
        #expect(node["metadata"] == ["name": "n1", "creationTimestamp": "2023-11-14T22:13:20Z"])
        #expect(node["status", "capacity"] == ["cpu": "500m", "memory": "0"])

        let lease = Message().message(2, Message().message(3, time))
        #expect(
            try ProtobufBody.decode(lease.body("coordination.k8s.io/v1", "Lease"))["spec", "acquireTime"]
                == "2023-11-14T22:13:20.123456Z")

        let security = Message().number(4, 7).number(4, -1).raw(4, [0x05, 0x80, 0x01])
        let pod = Message().message(2, Message().message(14, security))
        #expect(
            try ProtobufBody.decode(pod.body("v1", "Pod"))["spec", "securityContext", "supplementalGroups"]
                == [7, -1, 5, 128])
    }

    @Test func managedFieldsHoldJSONInProtobuf() throws {
        let entry = Message().text(1, "kubectl").message(7, Message().text(1, #"{"f:data":{}}"#))
        let map = Message().message(1, Message().message(17, entry))
        let object = try ProtobufBody.decode(map.body("v1", "ConfigMap"))
        #expect(object["metadata", "managedFields"]?[0]?["fieldsV1"] == ["f:data": [:]])
    }

    @Test func deleteOptionsComeUnderTheVersionOfWhatIsDeleted() throws {
        let options = Message().number(1, 0).message(2, Message().text(1, "u")).text(4, "Orphan").text(5, "All")
        #expect(
            try ProtobufBody.decode(options.body("apps/v1", "DeleteOptions"))
                == json(
                    #"""
                    {"apiVersion":"apps/v1","kind":"DeleteOptions","gracePeriodSeconds":0,
                     "preconditions":{"uid":"u"},"propagationPolicy":"Orphan","dryRun":["All"]}
                    """#))
    }

    @Test func unknownFieldsAreSkipped() throws {
        let map = Message().number(99, 1).text(98, "x").message(2, Message().text(1, "a").text(2, "b")).fixed(97)
        #expect(try ProtobufBody.decode(map.body("v1", "ConfigMap"))["data"] == ["a": "b"])
    }

    // MARK: What is refused

    private func refusal(_ bytes: [UInt8]) -> String {
        do {
            _ = try ProtobufBody.decode(bytes)
            return "read"
        } catch {
            return error.what
        }
    }

    @Test func whatIsNoSuchObjectIsRefusedWithAReason() {
        #expect(refusal(Array("{}".utf8)).contains("k8s"))
        #expect(
            refusal(Message().body("batch/v2", "Job"))
                == #"protobuf: no kind "Job" is registered for version "batch/v2""#)
        #expect(refusal(KubectlBodies.service.dropLast(9)) == "protobuf: unexpected end")
        let compressed = ProtobufBody.magic + Message().text(3, "gzip").bytes
        #expect(refusal(compressed) == "protobuf: the encoding gzip is not read")
        #expect(refusal(Message().number(1, 5).body("v1", "Pod")).hasPrefix("protobuf: wrong wire type"))
        #expect(refusal(Message().raw(1, [0x0A, 0x01, 0xFF]).body("v1", "Pod")) == "protobuf: text is not UTF-8")
        #expect(refusal(ProtobufBody.magic + [0x0B]) == "protobuf: wire type 3 is not read")
        #expect(refusal(ProtobufBody.magic + [UInt8](repeating: 0xFF, count: 11)).contains("more than ten bytes"))
        let far = Message().message(1, Message().message(8, Message().number(1, .max)))
        #expect(refusal(far.body("v1", "Pod")) == "protobuf: the time is out of range")
    }

    @Test func mutatedBodiesAreReadOrRefusedWithoutATrap() {
        var random = SplitMix64(seed: 1933)
        var read = 0
        for _ in 0..<10_000 {
            var bytes = KubectlBodies.all[Int(random.next() % UInt64(KubectlBodies.all.count))]
            for _ in 0...(random.next() % 2) where !bytes.isEmpty {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 8 {
                case 0: bytes.removeSubrange(place..<min(bytes.count, place + 3))
                case 1: bytes.insert(contentsOf: bytes[place...].prefix(9), at: place)
                case 2, 3: bytes[place] = [0x00, 0x7F, 0x80, 0xFF][Int(random.next() % 4)]
                default: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            guard let object = try? ProtobufBody.decode(bytes) else { continue }
            read += 1
            #expect((try? JSON(parsing: object.encoded())) == object)
        }
        #expect(read > 1000)
    }

    private func quantity(_ text: String) -> Message { Message().text(1, text) }
}

/// Writes a protobuf message, field by field.
struct Message {
    var bytes: [UInt8] = []

    private func adding(_ number: Int, _ wireType: Int, _ value: [UInt8]) -> Message {
        Message(bytes: bytes + Self.varint(UInt64(number << 3 | wireType)) + value)
    }

    func number(_ field: Int, _ value: Int64) -> Message {
        adding(field, 0, Self.varint(UInt64(bitPattern: value)))
    }
    func fixed(_ field: Int) -> Message { adding(field, 1, [UInt8](repeating: 1, count: 8)) }
    func raw(_ field: Int, _ value: [UInt8]) -> Message { adding(field, 2, Self.varint(UInt64(value.count)) + value) }
    func text(_ field: Int, _ value: String) -> Message { raw(field, Array(value.utf8)) }
    func message(_ field: Int, _ value: Message) -> Message { raw(field, value.bytes) }

    /// The message as the body of a request.
    func body(_ apiVersion: String, _ kind: String) -> [UInt8] {
        ProtobufBody.magic
            + Message().message(1, Message().text(1, apiVersion).text(2, kind)).message(2, self).text(3, "").bytes
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
    }
}
