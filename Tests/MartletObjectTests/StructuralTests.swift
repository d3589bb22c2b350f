import FuzzSupport
import MartletBase
import MartletObject
import Testing

@Suite struct StructuralTests {
    /// A kind whose spec has this schema.
    private func kind(_ spec: JSON, more: JSON = [:]) -> ResourceKind {
        var schema: JSON = ["type": "object", "properties": ["spec": spec]]
        for (name, value) in more.members { schema[name] = value }
        return ResourceKind(
            group: "shop.test", version: "v1", kind: "Cart", plural: "carts", singular: "cart", isNamespaced: true,
            custom: CustomKind(
                version: ["name": "v1", "schema": ["openAPIV3Schema": schema]], identity: "1"))
    }

    private func cart(_ spec: JSON) -> JSON {
        ["apiVersion": "shop.test/v1", "kind": "Cart", "metadata": ["name": "a"], "spec": spec]
    }

    private func faults(_ value: JSON, _ schema: JSON) -> [String] {
        let kind = kind(["type": "object", "properties": ["x": schema]])
        return Validation.create(cart(["x": value]), kind: kind).map(\.description)
    }

    @Test func whatTheSchemaDoesNotKnowIsPrunedAndTold() throws {
        let kind = kind([
            "type": "object",
            "properties": [
                "a": ["type": "string"], "open": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
                "list": ["type": "array", "items": ["type": "object", "properties": ["n": ["type": "integer"]]]],
                "map": ["type": "object", "additionalProperties": ["type": "object"]],
            ],
        ])
        let (object, unknown) = try Schema.conform(
            cart(["z": 1, "a": "b", "open": ["q": [["r": 1]]], "list": [["n": 1, "m": 2]], "map": ["k": ["v": 1]]]),
            to: kind)
        #expect(
            object["spec"] == ["a": "b", "open": ["q": [["r": 1]]], "list": [["n": 1]], "map": ["k": [:]]])
        #expect(Set(unknown) == ["spec.z", "spec.list[0].m", "spec.map.k.v"])
        #expect(object.members.map(\.key) == ["apiVersion", "kind", "metadata", "spec"])
    }

    @Test func metadataIsOfItsOwnForm() throws {
        let kind = kind(["type": "object"])
        var object = cart([:])
        object["metadata", "moon"] = 1
        #expect(try Schema.conform(object, to: kind).unknown == ["metadata.moon"])
        object["metadata", "labels"] = ["a": 1]
        #expect(throws: SchemaError.self) { try Schema.conform(object, to: kind) }
    }

    @Test func embeddedObjectsKeepTheirHeads() throws {
        let kind = kind([
            "type": "object", "x-kubernetes-embedded-resource": true,
            "properties": ["spec": ["type": "object"]],
        ])
        let embedded: JSON = ["apiVersion": "v1", "kind": "Pod", "metadata": ["name": "x"], "spec": [:], "status": 1]
        let conformed = try Schema.conform(cart(embedded), to: kind)
        #expect(conformed.object["spec", "metadata", "name"] == "x" && conformed.unknown == ["spec.status"])
        let missing = Validation.create(cart([:]), kind: kind).map(\.description)
        #expect(missing.contains("spec.kind: Required value: must not be empty"))
    }

    @Test func defaultsReachIntoWhatIsThere() {
        let kind = kind([
            "type": "object",
            "properties": [
                "port": ["type": "integer", "default": 80],
                "deep": [
                    "type": "object", "default": [:], "properties": ["on": ["type": "boolean", "default": true]],
                ],
                "list": [
                    "type": "array",
                    "items": ["type": "object", "properties": ["p": ["type": "string", "default": "TCP"]]],
                ],
                "none": ["type": "string", "nullable": true, "default": "x"],
            ],
        ])
        var object = cart(["list": [[:]], "port": nil, "none": nil])
        Defaults.apply(to: &object, kind: kind)
        #expect(
            object["spec"] == ["list": [["p": "TCP"]], "port": 80, "none": nil, "deep": ["on": true]])
    }

    @Test(
        arguments: [
            (
                #""s""#, #"{"type": "integer"}"#,
                ["spec.x: Invalid value: \"string\": spec.x in body must be of type integer: \"string\""]
            ),
            (
                #"null"#, #"{"type": "string"}"#,
                ["spec.x: Invalid value: \"null\": spec.x in body must be of type string: \"null\""]
            ),
            (
                #"null"#, #"{"type": "string", "nullable": true}"#,
                []
            ),
            (
                #"1.0"#, #"{"type": "integer"}"#,
                []
            ),
            (
                #"1.5"#, #"{"x-kubernetes-int-or-string": true}"#,
                ["spec.x: Invalid value: \"number\": spec.x in body must be of type integer,string: \"number\""]
            ),
            (
                #""7""#, #"{"x-kubernetes-int-or-string": true}"#,
                []
            ),
            (
                #""c""#, #"{"type": "string", "enum": ["a", "b"]}"#,
                ["spec.x: Unsupported value: \"c\": supported values: \"a\", \"b\""]
            ),
            (
                #""A""#, #"{"type": "string", "pattern": "^[a-z]+$"}"#,
                ["spec.x: Invalid value: \"A\": spec.x in body should match '^[a-z]+$'"]
            ),
            (
                #"0"#, #"{"type": "integer", "minimum": 1}"#,
                ["spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1"]
            ),
            (
                #"5"#, #"{"type": "integer", "maximum": 5, "exclusiveMaximum": true}"#,
                ["spec.x: Invalid value: 5: spec.x in body should be less than 5"]
            ),
            (
                #"7"#, #"{"type": "integer", "multipleOf": 2}"#,
                ["spec.x: Invalid value: 7: spec.x in body should be a multiple of 2"]
            ),
            (
                #""ab""#, #"{"type": "string", "minLength": 3}"#,
                ["spec.x: Invalid value: \"ab\": spec.x in body should be at least 3 chars long"]
            ),
            (
                #""abcd""#, #"{"type": "string", "maxLength": 3}"#,
                ["spec.x: Too long: may not be more than 3 bytes"]
            ),
            (
                #"[1, 2, 3]"#, #"{"type": "array", "maxItems": 2, "items": {"type": "integer"}}"#,
                ["spec.x: Too many: 3: must have at most 2 items"]
            ),
            (
                #"[]"#, #"{"type": "array", "minItems": 1, "items": {"type": "integer"}}"#,
                ["spec.x: Invalid value: 0: spec.x in body should have at least 1 items"]
            ),
            (
                #"{}"#, #"{"type": "object", "required": ["y"]}"#,
                ["spec.x.y: Required value"]
            ),
            (
                #""x""#, #"{"type": "string", "format": "date-time"}"#,
                ["spec.x: Invalid value: \"x\": spec.x in body must be of type date-time: \"x\""]
            ),
            (
                #""10.0.0.0/33""#, #"{"type": "string", "format": "cidr"}"#,
                ["spec.x: Invalid value: \"10.0.0.0/33\": spec.x in body must be of type cidr: \"10.0.0.0/33\""]
            ),
            (
                #""1h30m""#, #"{"type": "string", "format": "duration"}"#,
                []
            ),
            (
                #"["a", "a"]"#, #"{"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}"#,
                ["spec.x[1]: Duplicate value: \"a\""]
            ),
            (
                #"[{"n": "a"}, {"n": "a"}]"#,
                #"{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],"#
                    + #""items": {"type": "object", "properties": {"n": {"type": "string"}}}}"#,
                ["spec.x[1]: Duplicate value: {\"n\":\"a\"}"]
            ),
            (
                #"{"m": "s"}"#, #"{"type": "object", "additionalProperties": {"type": "integer"}}"#,
                ["spec.x.m: Invalid value: \"string\": spec.x.m in body must be of type integer: \"string\""]
            ),
            (
                #"{"a": 1, "b": 2}"#, #"{"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}"#,
                [
                    "<nil>: Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). "
                        + "Found 2 valid alternatives"
                ]
            ),
            (
                #"{}"#, #"{"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}"#,
                [
                    "<nil>: Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). "
                        + "Found none valid", "spec.x.a: Required value",
                ]
            ),
            (
                #"{"a": 1}"#, #"{"type": "object", "not": {"required": ["a"]}}"#,
                ["<nil>: Invalid value: \"\": \"spec.x\" must not validate the schema (not)"]
            ),
            (
                #"{"b": 1}"#, #"{"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}"#,
                []
            ),
        ] as [(String, String, [String])])
    func valuesAreHeldAgainstTheSchema(value: String, schema: String, wanted: [String]) throws {
        #expect(faults(try JSON(parsing: value.utf8), try JSON(parsing: schema.utf8)) == wanted)
    }

    @Test func whatWasWrongBeforeAndHasNotChangedIsLetBe() {
        let kind = kind(["type": "object", "properties": ["a": ["type": "string", "enum": ["x"]]]])
        let old = cart(["a": "old"])
        var new = old
        new["metadata", "labels"] = ["l": "1"]
        #expect(Validation.update(new, from: old, kind: kind).isEmpty)
        new["spec", "a"] = "other"
        #expect(Validation.update(new, from: old, kind: kind).count == 1)
    }

    /// KEP-4008: what was stored before the schema asked for more can still be labelled, and let go of its finalizers.
    @Test func whatLacksWhatCameToBeRequiredIsLetBeUntilItChanges() {
        let kind = kind([
            "type": "object", "required": ["c"],
            "properties": [
                "a": ["type": "object", "required": ["b"], "properties": ["b": ["type": "string"]]],
                "c": ["type": "string"], "l": ["type": "string"],
            ],
        ])
        var old = cart(["a": [:], "l": "1"])
        old["metadata", "finalizers"] = ["shop.test/hold"]
        var new = old
        new["metadata", "labels"] = ["l": "1"]
        #expect(Validation.update(new, from: old, kind: kind).isEmpty)
        new["metadata", "finalizers"] = nil
        #expect(Validation.update(new, from: old, kind: kind).isEmpty)
        // What changes has to be right; what is below it and has not changed has not.
        new["spec", "l"] = "2"
        #expect(Validation.update(new, from: old, kind: kind).map(\.description) == ["spec.c: Required value"])
        new["spec", "c"] = "c"
        #expect(Validation.update(new, from: old, kind: kind).isEmpty)
        #expect(Validation.create(old, kind: kind).count == 2)
    }

    @Test func elementsAreKnownAgainByTheirKeysOnly() {
        let element: JSON = [
            "type": "object", "required": ["n", "v"],
            "properties": ["n": ["type": "string"], "v": ["type": "string"]],
        ]
        let lists: JSON = [
            "map": [
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": element,
            ],
            "list": ["type": "array", "items": element],
            "set": ["type": "array", "x-kubernetes-list-type": "set", "items": ["type": "string"]],
        ]
        let kind = kind(["type": "object", "properties": lists])
        let old = cart(["map": [["n": "a"]], "list": [["n": "a"]], "set": ["x", "x"]])
        var new = old
        new["spec", "map"] = [["n": "b", "v": "1"], ["n": "a"]]
        new["spec", "set"] = ["x", "x", "y", "y"]
        #expect(Validation.update(new, from: old, kind: kind).isEmpty)
        new["spec", "list"] = [["n": "a"], ["n": "b", "v": "1"]]
        #expect(
            Validation.update(new, from: old, kind: kind).map(\.description) == ["spec.list[0].v: Required value"])
        let good = cart(["set": ["x"]])
        new = good
        new["spec", "set"] = ["x", "x"]
        #expect(Validation.update(new, from: good, kind: kind).count == 1)
    }
}

@Suite struct StructuralFuzzTests {
    private static let names = [
        "type", "properties", "items", "additionalProperties", "allOf", "anyOf", "oneOf", "not", "default", "enum",
        "pattern", "minimum", "maximum", "multipleOf", "maxLength", "required", "nullable", "format", "spec",
        "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-int-or-string", "metadata",
        "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-validations",
    ]
    private static let values: [JSON] = [
        "object", "array", "string", "integer", "number", "set", "map", "name", "a(", "^a+$", true, false, 0, 1, -1,
        1.5, nil, [], [:], "date-time", "duration", "uuid", "cidr", "email", "hostname", "int32",
    ]

    /// Something that may be a schema, or a value of one.
    private func random(_ depth: Int, _ random: inout SplitMix64) -> JSON {
        let kind = Int.random(in: 0..<6, using: &random)
        if depth == 0 || kind == 0 { return Self.values.randomElement(using: &random) ?? nil }
        if kind == 1 {
            return .array((0..<Int.random(in: 0..<3, using: &random)).map { _ in self.random(depth - 1, &random) })
        }
        var object: JSON = [:]
        for _ in 0..<Int.random(in: 0..<6, using: &random) {
            object[Self.names.randomElement(using: &random) ?? "a"] = self.random(depth - 1, &random)
        }
        return object
    }

    @Test func anySchemaIsReadAndAnyValueHeldAgainstItWithoutATrap() {
        var random = SplitMix64(seed: Fuzz.seed(31))
        for _ in 0..<Fuzz.runs(3000) {
            var schema = self.random(5, &random)
            if schema.object != nil { schema["type"] = "object" }
            var definition = CustomDefinitionTests.definition(schema)
            _ = Validation.create(definition, kind: .customResourceDefinition)
            _ = CustomDefinition.warnings(of: definition)
            definition = CustomDefinition.named(definition, among: [], now: "2026-01-01T00:00:00Z")
            guard let kind = ResourceKind.custom(of: definition).first else { continue }
            let object: JSON = ["apiVersion": "shop.test/v1", "kind": "Cart", "spec": self.random(5, &random)]
            guard var (known, _) = try? Schema.conform(object, to: kind) else { continue }
            Defaults.apply(to: &known, kind: kind)
            let once = known
            Defaults.apply(to: &known, kind: kind)
            #expect(known == once)
            _ = Validation.create(known, kind: kind)
        }
    }

    @Test func alternativesWithinAlternativesTakeNoLongerThanTheyAre() {
        var schema: JSON = ["required": ["a"]]
        for _ in 0..<60 { schema = ["oneOf": [schema], "anyOf": [["required": ["b"]]], "not": ["required": ["c"]]] }
        schema["type"] = "object"
        let definition = CustomDefinition.named(
            CustomDefinitionTests.definition(schema), among: [], now: "2026-01-01T00:00:00Z")
        let kind = ResourceKind.custom(of: definition)[0]
        #expect(!Validation.create(["metadata": ["name": "a"]], kind: kind).isEmpty)
    }
}

@Suite struct CustomDefinitionTests {
    static func definition(_ schema: JSON = ["type": "object"], versions: Int = 1) -> JSON {
        [
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": ["name": "carts.shop.test"],
            "spec": [
                "group": "shop.test", "scope": "Namespaced",
                "names": ["plural": "carts", "singular": "cart", "kind": "Cart", "listKind": "CartList"],
                "versions": .array(
                    (1...versions).map { number in
                        [
                            "name": .string("v\(number)"), "served": true, "storage": .bool(number == 1),
                            "schema": ["openAPIV3Schema": schema],
                        ]
                    }),
            ],
        ]
    }

    private func faults(_ definition: JSON) -> [String] {
        Validation.create(definition, kind: .customResourceDefinition).map(\.description)
    }
    private func schemaFaults(_ properties: JSON) -> [String] {
        let path = "spec.versions[0].schema.openAPIV3Schema.properties[x]"
        return faults(Self.definition(["type": "object", "properties": ["x": properties]])).map { text in
            text.hasPrefix(path) ? String(text.dropFirst(path.utf8.count)) : text
        }
    }

    @Test func aPlainDefinitionIsFine() { #expect(faults(Self.definition()) == []) }

    @Test func namesAndVersionsHaveRules() {
        var definition = Self.definition(versions: 2)
        definition["metadata", "name"] = "wrong.test"
        definition["spec", "scope"] = "Moon"
        definition["spec", "versions"] = .array(
            (definition["spec", "versions"]?.array ?? []).map { version in
                var version = version
                version["storage"] = true
                version["name"] = "v1"
                return version
            })
        let found = faults(definition)
        #expect(
            found.contains(
                "metadata.name: Invalid value: \"wrong.test\": must be spec.names.plural+\".\"+spec.group"))
        #expect(
            found.contains("spec.scope: Unsupported value: \"Moon\": supported values: \"Cluster\", \"Namespaced\""))
        #expect(found.contains { $0.hasSuffix("must contain unique version names") })
        #expect(found.contains { $0.hasSuffix("must have exactly one version marked as storage version") })
    }

    @Test(
        arguments: [
            (
                #"{}"#,
                [".type: Required value: must not be empty for specified object fields"]
            ),
            (
                #"{"type": "array"}"#,
                [".items: Required value: must be specified"]
            ),
            (
                #"{"type": "string", "pattern": "("}"#,
                [
                    ".pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: "
                        + "error parsing regexp: missing closing ): `(`"
                ]
            ),
            (
                #"{"type": "object", "$ref": "/x"}"#,
                [".$ref: Forbidden: $ref is not supported"]
            ),
            (
                #"{"type": "object", "anyOf": [{"properties": {"y": {}}}]}"#,
                [
                    ".properties[y]: Required value: because it is defined in spec.versions[0].schema.openAPIV3Schema"
                        + ".properties[x].anyOf[0].properties[y]"
                ]
            ),
            (
                #"{"type": "object", "allOf": [{"type": "object"}]}"#,
                [".allOf[0].type: Forbidden: must be empty to be structural"]
            ),
            (
                #"{"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}"#,
                []
            ),
            (
                #"{"type": "string", "default": 1}"#,
                [".default: Invalid value: \"integer\":  in body must be of type string: \"integer\""]
            ),
            (
                #"{"type": "string", "x-kubernetes-list-type": "set"}"#,
                [".type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified"]
            ),
            (
                #"{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],"#
                    + #""items": {"type": "object", "properties": {"n": {"type": "string"}}}}"#,
                [
                    ".items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so "
                        + "it must have a default or be a required property"
                ]
            ),
        ] as [(String, [String])])
    func schemasAreStructural(schema: String, wanted: [String]) throws {
        #expect(schemaFaults(try JSON(parsing: schema.utf8)) == wanted)
    }

    @Test func conversionByWebhookIsRefusedWhereThereIsSomethingToConvert() {
        var definition = Self.definition(versions: 2)
        definition["spec", "conversion"] = ["strategy": "Webhook"]
        #expect(faults(definition).count == 1)
        definition["spec", "versions"] = .array([definition["spec", "versions"]?[0] ?? .null])
        #expect(faults(definition).isEmpty)
    }

    @Test func protectedGroupsNeedApproval() {
        var definition = Self.definition()
        definition["spec", "group"] = "shop.k8s.io"
        definition["metadata", "name"] = "carts.shop.k8s.io"
        #expect(faults(definition).count == 1)
        definition["metadata", "annotations"] = ["api-approved.kubernetes.io": "https://example.test"]
        #expect(faults(definition).isEmpty)
    }

    @Test func namesThatAreFreeAreAccepted() {
        let now = "2026-01-01T00:00:00Z"
        let first = CustomDefinition.named(Self.definition(), among: [], now: now)
        #expect(first["status", "acceptedNames", "plural"] == "carts")
        #expect(first["status", "conditions"]?.array?.map { $0["type"] } == ["NamesAccepted", "Established"])
        #expect(CustomDefinition.named(first, among: [first], now: "later") == first)
        var other = Self.definition()
        other["metadata"] = ["name": "wagons.shop.test", "uid": "2"]
        other["spec", "names", "plural"] = "wagons"
        let second = CustomDefinition.named(other, among: [first], now: now)
        #expect(!CustomDefinition.condition("Established", of: second))
        #expect(second["status", "conditions"]?[0]?["reason"] == "SingularConflict")
        #expect(second["status", "conditions"]?[0]?["message"] == "\"cart\" is already in use")
        #expect(ResourceKind.custom(of: second).isEmpty && ResourceKind.custom(of: first).count == 1)
        #expect(CustomDefinition.condition("Established", of: CustomDefinition.named(second, among: [], now: now)))
    }

    @Test func aDefinitionOfABuiltInKindIsFineAndOneThatTakesItsNamesIsNot() {
        var definition = Self.definition()
        definition["spec", "group"] = "gateway.networking.k8s.io"
        definition["spec", "names"] = [
            "plural": "gateways", "singular": "gateway", "kind": "Gateway", "listKind": "GatewayList",
        ]
        var named = CustomDefinition.named(definition, among: [], now: "2026-01-01T00:00:00Z")
        #expect(CustomDefinition.condition("Established", of: named))
        definition["spec", "names", "plural"] = "doors"
        named = CustomDefinition.named(definition, among: [], now: "2026-01-01T00:00:00Z")
        #expect(!CustomDefinition.condition("Established", of: named))
    }

    @Test func rulesThatAreNotEnforcedAreTold() {
        let schema: JSON = [
            "type": "object",
            "properties": ["spec": ["type": "object", "x-kubernetes-validations": [["rule": "self.a > 1"]]]],
        ]
        #expect(CustomDefinition.warnings(of: Self.definition(schema)).count == 1)
        #expect(CustomDefinition.warnings(of: Self.definition()).isEmpty)
    }
}
