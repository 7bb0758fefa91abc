"""What arrives against what prod was trained on: profiles, distances and the verdict."""
