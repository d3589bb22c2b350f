// The room MartletNet; its parts come with their builders.
