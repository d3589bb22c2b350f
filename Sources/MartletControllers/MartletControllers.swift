// The room MartletControllers; its parts come with their builders.
