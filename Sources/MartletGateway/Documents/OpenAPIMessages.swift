/// The messages of packages `openapi.v2` and `openapi.v3` (gnostic's OpenAPIv2.proto and OpenAPIv3.proto), as far as
/// our documents use them: which member of the JSON form goes into which field.
enum OpenAPIMessage: Hashable, Sendable {
    case document, info, contact, license, externalDocs, tag
    case paths, pathItem, operation
    case bodyParameter, queryParameter, pathParameter
    case responses, response, reference
    case schema
    /// Those of version 3 that differ.
    case document3, info3, components, paths3, pathItem3, operation3, parameter3, requestBody, mediaType, responses3,
        response3, reference3, schema3

    /// How a JSON value is written.
    indirect enum Shape: Sendable {
        case text
        case flag
        case whole
        case real
        /// Any value, as YAML text (`Any.yaml`). JSON is YAML.
        case any
        case message(OpenAPIMessage)
        /// A repeated field: one for each element. A value that is no list is a list of one.
        case list(Shape)
        /// A repeated field: one `NamedX` (name = 1, value = 2) for each member.
        case named(Shape)
        /// A message of only this field.
        case wrapped(Int, Shape)
        /// `ParametersItem`: which branch depends on what the parameter says of itself.
        case parameter
        /// `ResponseValue`: a response, or a reference to one.
        case response
        /// `AdditionalPropertiesItem`: a schema, or true or false.
        case additionalProperties
        /// `SchemaOrReference` and its like: the message, or a reference.
        case orReference(OpenAPIMessage)
        /// `AdditionalPropertiesItem` of version 3.
        case additionalProperties3
        /// `DefaultType`: a number, true or false, or text.
        case plainValue
    }

    struct Field: Sendable {
        var number: Int
        var shape: Shape
        init(_ number: Int, _ shape: Shape) {
            self.number = number
            self.shape = shape
        }
    }

    struct Layout: Sendable {
        /// By the member's name in JSON.
        var fields: [String: Field] = [:]
        /// The field of the members that begin with `x-`.
        var extensions: Int?
        /// The field of all other members: the paths of Paths, the codes of Responses.
        var others: Field?
    }

    var layout: Layout { OpenAPILayouts.all[self] ?? OpenAPILayouts3.all[self] ?? Layout() }
}

/// The layouts of the messages.
private enum OpenAPILayouts {
    private typealias Layout = OpenAPIMessage.Layout
    private typealias Field = OpenAPIMessage.Field

    /// By message, made once.
    static let all: [OpenAPIMessage: OpenAPIMessage.Layout] = [
        .document: document, .info: info, .contact: contact, .license: license, .externalDocs: externalDocs,
        .tag: tag, .paths: Layout(extensions: 1, others: Field(2, .message(.pathItem))), .pathItem: pathItem,
        .operation: operation, .bodyParameter: bodyParameter, .pathParameter: pathParameter,
        .queryParameter: queryParameter, .responses: Layout(extensions: 2, others: Field(1, .response)),
        .response: response,
        .reference: Layout(fields: ["$ref": Field(1, .text), "description": Field(2, .text)]), .schema: schema,
    ]

    private static let texts: OpenAPIMessage.Shape = .list(.text)
    /// A message whose only field repeats `NamedSchema`.
    private static let schemas: OpenAPIMessage.Shape = .wrapped(1, .named(.message(.schema)))

    private static let document = Layout(
        fields: [
            "swagger": Field(1, .text), "info": Field(2, .message(.info)), "host": Field(3, .text),
            "basePath": Field(4, .text), "schemes": Field(5, texts), "consumes": Field(6, texts),
            "produces": Field(7, texts), "paths": Field(8, .message(.paths)), "definitions": Field(9, schemas),
            "tags": Field(14, .list(.message(.tag))), "externalDocs": Field(15, .message(.externalDocs)),
        ], extensions: 16)
    private static let info = Layout(
        fields: [
            "title": Field(1, .text), "version": Field(2, .text), "description": Field(3, .text),
            "termsOfService": Field(4, .text), "contact": Field(5, .message(.contact)),
            "license": Field(6, .message(.license)),
        ], extensions: 7)
    private static let contact = Layout(
        fields: ["name": Field(1, .text), "url": Field(2, .text), "email": Field(3, .text)], extensions: 4)
    private static let license = Layout(fields: ["name": Field(1, .text), "url": Field(2, .text)], extensions: 3)
    private static let externalDocs = Layout(
        fields: ["description": Field(1, .text), "url": Field(2, .text)], extensions: 3)
    private static let tag = Layout(
        fields: [
            "name": Field(1, .text), "description": Field(2, .text),
            "externalDocs": Field(3, .message(.externalDocs)),
        ], extensions: 4)
    private static let pathItem = Layout(
        fields: [
            "$ref": Field(1, .text), "get": Field(2, .message(.operation)), "put": Field(3, .message(.operation)),
            "post": Field(4, .message(.operation)), "delete": Field(5, .message(.operation)),
            "options": Field(6, .message(.operation)), "head": Field(7, .message(.operation)),
            "patch": Field(8, .message(.operation)), "parameters": Field(9, .list(.parameter)),
        ], extensions: 10)
    private static let operation = Layout(
        fields: [
            "tags": Field(1, texts), "summary": Field(2, .text), "description": Field(3, .text),
            "externalDocs": Field(4, .message(.externalDocs)), "operationId": Field(5, .text),
            "produces": Field(6, texts), "consumes": Field(7, texts), "parameters": Field(8, .list(.parameter)),
            "responses": Field(9, .message(.responses)), "schemes": Field(10, texts), "deprecated": Field(11, .flag),
        ], extensions: 13)
    private static let bodyParameter = Layout(
        fields: [
            "description": Field(1, .text), "name": Field(2, .text), "in": Field(3, .text),
            "required": Field(4, .flag), "schema": Field(5, .message(.schema)),
        ], extensions: 6)
    private static let pathParameter = Layout(
        fields: [
            "required": Field(1, .flag), "in": Field(2, .text), "description": Field(3, .text),
            "name": Field(4, .text), "type": Field(5, .text), "format": Field(6, .text), "default": Field(9, .any),
            "pattern": Field(16, .text), "uniqueItems": Field(19, .flag), "enum": Field(20, .list(.any)),
        ], extensions: 22)
    private static let queryParameter = Layout(
        fields: [
            "required": Field(1, .flag), "in": Field(2, .text), "description": Field(3, .text),
            "name": Field(4, .text), "allowEmptyValue": Field(5, .flag), "type": Field(6, .text),
            "format": Field(7, .text), "default": Field(10, .any), "pattern": Field(17, .text),
            "uniqueItems": Field(20, .flag), "enum": Field(21, .list(.any)),
        ], extensions: 23)
    private static let response = Layout(
        fields: [
            "description": Field(1, .text), "schema": Field(2, .wrapped(1, .message(.schema))),
            "examples": Field(4, .wrapped(1, .named(.any))),
        ], extensions: 5)
    private static let schema = Layout(
        fields: [
            "$ref": Field(1, .text), "format": Field(2, .text), "title": Field(3, .text),
            "description": Field(4, .text), "default": Field(5, .any), "multipleOf": Field(6, .real),
            "maximum": Field(7, .real), "exclusiveMaximum": Field(8, .flag), "minimum": Field(9, .real),
            "exclusiveMinimum": Field(10, .flag), "maxLength": Field(11, .whole), "minLength": Field(12, .whole),
            "pattern": Field(13, .text), "maxItems": Field(14, .whole), "minItems": Field(15, .whole),
            "uniqueItems": Field(16, .flag), "maxProperties": Field(17, .whole), "minProperties": Field(18, .whole),
            "required": Field(19, texts), "enum": Field(20, .list(.any)),
            "additionalProperties": Field(21, .additionalProperties), "type": Field(22, .wrapped(1, texts)),
            "items": Field(23, .wrapped(1, .list(.message(.schema)))),
            "allOf": Field(24, .list(.message(.schema))), "properties": Field(25, schemas),
            "discriminator": Field(26, .text), "readOnly": Field(27, .flag),
            "externalDocs": Field(29, .message(.externalDocs)), "example": Field(30, .any),
        ], extensions: 31)
}
