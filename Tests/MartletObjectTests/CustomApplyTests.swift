import MartletObject
import Testing

/// Appliers of a custom kind: its schema says what they share.
@Suite struct CustomApplyTests {
    private static let kind = ResourceKind.custom(
        of: [
            "metadata": ["name": "cars.test.io", "uid": "u", "generation": 1],
            "status": [
                "conditions": [["type": "Established", "status": "True"]],
                "acceptedNames": ["plural": "cars", "kind": "Car"],
            ],
            "spec": [
                "group": "test.io", "scope": "Namespaced", "names": ["plural": "cars", "kind": "Car"],
                "versions": [
                    [
                        "name": "v1", "served": true, "storage": true,
                        "schema": [
                            "openAPIV3Schema": [
                                "type": "object",
                                "properties": [
                                    "spec": [
                                        "type": "object",
                                        "properties": [
                                            "seats": ["type": "integer"],
                                            "doors": [
                                                "type": "array", "x-kubernetes-list-type": "map",
                                                "x-kubernetes-list-map-keys": ["side"],
                                                "items": [
                                                    "type": "object",
                                                    "properties": [
                                                        "side": ["type": "string"], "color": ["type": "string"],
                                                    ],
                                                ],
                                            ],
                                            "tags": [
                                                "type": "array", "x-kubernetes-list-type": "set",
                                                "items": ["type": "string"],
                                            ],
                                            "plan": ["type": "array", "items": ["type": "string"]],
                                            "engine": [
                                                "type": "object", "x-kubernetes-map-type": "atomic",
                                                "properties": ["fuel": ["type": "string"]],
                                            ],
                                            "extra": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
                                            "notes": [
                                                "type": "object", "additionalProperties": ["type": "string"],
                                            ],
                                        ],
                                    ]
                                ],
                            ]
                        ],
                    ]
                ],
            ],
        ])

    @Test func appliersShareByTheSchema() throws {
        var story = Story(try #require(Self.kind.first))
        try story.apply(
            "a",
            [
                "metadata": ["name": "c", "labels": ["x": "1"]],
                "spec": [
                    "seats": 4, "doors": [["side": "left", "color": "red"]], "tags": ["fast"], "plan": ["p"],
                    "engine": ["fuel": "sun"], "extra": ["deep": ["er": [1]]], "notes": ["n": "1"],
                ],
            ])
        try story.apply(
            "b",
            [
                "metadata": ["name": "c"],
                "spec": ["doors": [["side": "right"]], "tags": ["blue"], "extra": ["deep": ["other": 1]]],
            ])
        #expect(
            story.owners == [
                #"Apply a: .metadata.labels.x .spec.doors[side="left"] .spec.doors[side="left"].color "#
                    + #".spec.doors[side="left"].side .spec.engine .spec.extra.deep .spec.extra.deep.er "#
                    + #".spec.notes.n .spec.plan .spec.seats .spec.tags[="fast"]"#,
                #"Apply b: .spec.doors[side="right"] .spec.doors[side="right"].side .spec.extra.deep "#
                    + #".spec.extra.deep.other .spec.tags[="blue"]"#,
            ])
        #expect(story.object["spec", "tags"] == ["fast", "blue"])
        let error = #expect(throws: ApplyError.self) {
            try story.apply("b", ["metadata": ["name": "c"], "spec": ["engine": ["fuel": "oil"]]])
        }
        #expect(story.conflict(error!) == ["a .spec.engine"])
        #expect(throws: ApplyError.misfit(".spec.wings: field not declared in schema")) {
            try story.apply("b", ["metadata": ["name": "c"], "spec": ["wings": 2]])
        }
    }
}
