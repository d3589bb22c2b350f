// The room MartletRoutes; its parts come with their builders.
