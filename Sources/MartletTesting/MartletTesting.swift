// The room MartletTesting; its parts come with their builders.
