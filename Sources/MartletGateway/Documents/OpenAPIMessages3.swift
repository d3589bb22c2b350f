/// The layouts of the messages of package `openapi.v3`.
enum OpenAPILayouts3 {
    private typealias Layout = OpenAPIMessage.Layout
    private typealias Field = OpenAPIMessage.Field

    /// By message, made once.
    static let all: [OpenAPIMessage: OpenAPIMessage.Layout] = [
        .document3: Layout(
            fields: [
                "openapi": Field(1, .text), "info": Field(2, .message(.info3)), "paths": Field(4, .message(.paths3)),
                "components": Field(5, .message(.components)),
            ], extensions: 9),
        .info3: Layout(
            fields: ["title": Field(1, .text), "description": Field(2, .text), "version": Field(6, .text)],
            extensions: 7),
        .components: Layout(fields: ["schemas": Field(1, schemas)], extensions: 10),
        .paths3: Layout(extensions: 2, others: Field(1, .message(.pathItem3))), .pathItem3: pathItem,
        .operation3: operation, .parameter3: parameter,
        .requestBody: Layout(
            fields: ["description": Field(1, .text), "content": Field(2, content), "required": Field(3, .flag)],
            extensions: 4),
        .mediaType: Layout(fields: ["schema": Field(1, .orReference(.schema3))], extensions: 5),
        .responses3: Layout(
            fields: ["default": Field(1, .orReference(.response3))], extensions: 3,
            others: Field(2, .orReference(.response3))),
        .response3: Layout(
            fields: ["description": Field(1, .text), "content": Field(3, content)], extensions: 5),
        .reference3: Layout(fields: ["$ref": Field(1, .text), "description": Field(3, .text)]), .schema3: schema,
    ]

    private static let texts: OpenAPIMessage.Shape = .list(.text)
    /// A message whose only field repeats `NamedSchemaOrReference`.
    private static let schemas: OpenAPIMessage.Shape = .wrapped(1, .named(.orReference(.schema3)))
    /// `MediaTypes`
    private static let content: OpenAPIMessage.Shape = .wrapped(1, .named(.message(.mediaType)))
    private static let alternatives: OpenAPIMessage.Shape = .list(.orReference(.schema3))

    private static let pathItem: Layout = {
        var layout = Layout(
            fields: [
                "$ref": Field(1, .text), "summary": Field(2, .text), "description": Field(3, .text),
                "parameters": Field(13, .list(.orReference(.parameter3))),
            ], extensions: 14)
        let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"]
        for (place, method) in methods.enumerated() {
            layout.fields[method] = Field(4 + place, .message(.operation3))
        }
        return layout
    }()
    private static let operation = Layout(
        fields: [
            "tags": Field(1, texts), "summary": Field(2, .text), "description": Field(3, .text),
            "operationId": Field(5, .text), "parameters": Field(6, .list(.orReference(.parameter3))),
            "requestBody": Field(7, .orReference(.requestBody)), "responses": Field(8, .message(.responses3)),
            "deprecated": Field(10, .flag),
        ], extensions: 13)
    private static let parameter = Layout(
        fields: [
            "name": Field(1, .text), "in": Field(2, .text), "description": Field(3, .text),
            "required": Field(4, .flag), "deprecated": Field(5, .flag), "schema": Field(10, .orReference(.schema3)),
        ], extensions: 14)
    private static let schema = Layout(
        fields: [
            "nullable": Field(1, .flag), "readOnly": Field(3, .flag), "writeOnly": Field(4, .flag),
            "example": Field(7, .any), "deprecated": Field(8, .flag), "title": Field(9, .text),
            "multipleOf": Field(10, .real), "maximum": Field(11, .real), "exclusiveMaximum": Field(12, .flag),
            "minimum": Field(13, .real), "exclusiveMinimum": Field(14, .flag), "maxLength": Field(15, .whole),
            "minLength": Field(16, .whole), "pattern": Field(17, .text), "maxItems": Field(18, .whole),
            "minItems": Field(19, .whole), "uniqueItems": Field(20, .flag), "maxProperties": Field(21, .whole),
            "minProperties": Field(22, .whole), "required": Field(23, texts), "enum": Field(24, .list(.any)),
            "type": Field(25, .text), "allOf": Field(26, alternatives), "oneOf": Field(27, alternatives),
            "anyOf": Field(28, alternatives), "not": Field(29, .message(.schema3)),
            "items": Field(30, .wrapped(1, alternatives)), "properties": Field(31, schemas),
            "additionalProperties": Field(32, .additionalProperties3), "default": Field(33, .plainValue),
            "description": Field(34, .text), "format": Field(35, .text),
        ], extensions: 36)
}
