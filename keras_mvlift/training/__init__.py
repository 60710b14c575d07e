"""How the networks learn: recipes, objectives, the model with its train_step, the stages."""
