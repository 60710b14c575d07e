"""What a predicted pose is judged by: errors in millimeters, shares of correct joints."""
